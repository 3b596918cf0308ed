"""The room that is left where a folder lies, or would lie."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Room:
    """A disk in bytes and in files; without a limit of files, as on some, both are None."""

    free_bytes: int
    size_bytes: int
    free_inodes: int | None
    inodes: int | None


def room(folder: Path) -> Room:
    """Of the disk that a folder lies on, or that it would be made on. Raises ``OSError``."""
    found = os.statvfs(_existing(folder.absolute()))
    limited = found.f_files > 0
    return Room(
        found.f_bavail * found.f_frsize,
        found.f_blocks * found.f_frsize,
        found.f_favail if limited else None,
        found.f_files if limited else None,
    )


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())
