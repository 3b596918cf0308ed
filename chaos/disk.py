"""A small disk that can be filled: a file system in memory, where we may mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEGABYTES = 600


class SmallDisk:
    """A mounted file system of our own at ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def full(self) -> Iterator[None]:
        """To the last byte, until the block ends."""
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 20)):
                    pass
            except OSError:
                pass
        try:
            yield
        finally:
            ballast.unlink()

    def end(self) -> None:
        """Take it away again."""
        subprocess.run(["umount", "--lazy", self.folder], check=False)


def small_disk(folder: Path) -> SmallDisk | None:
    """A disk at a folder; None where we may not mount one (only root may, on Linux)."""
    if os.geteuid() != 0:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={_MEGABYTES}m,mode=755"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
    )
    return SmallDisk(folder) if made.returncode == 0 else None
