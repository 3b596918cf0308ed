"""Uploaded archives: unpacked where their bytes lie, within bounds."""

import os
import zipfile
from pathlib import Path

from app.core.errors import InvalidInput
from app.core.names import safe_case_name

UPLOAD, UNPACKED, ARCHIVE = "upload.zip", "unpacked", "archive.zip"
# Images in an archive are packed already; more than this is an archive that was made to harm.
_LARGEST_EXPANSION = 20


def unpack(folder: Path, name: str) -> Path:
    """The upload in a folder, unpacked; the data set is called ``name`` where it has no name.

    What was unpacked before an interruption is taken as it is. Raises ``InvalidInput``.
    """
    target = folder / UNPACKED / safe_case_name(name)
    done = folder / "unpacked.whole"
    if done.exists():
        return target
    archive = folder / UPLOAD
    try:
        with zipfile.ZipFile(archive) as opened:
            size = sum(entry.file_size for entry in opened.infolist())
            if size > _LARGEST_EXPANSION * max(archive.stat().st_size, 1_000_000):
                raise InvalidInput(f"the archive would unpack to {size} bytes: send it in parts")
            target.mkdir(parents=True, exist_ok=True)
            opened.extractall(target)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InvalidInput(
            f"the body is not a zip archive that can be opened ({error}): zip the folder that "
            "holds the data set and send that"
        ) from error
    except OSError as error:
        # Names that are too long, one file where another wants a folder, or a full disk.
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        raise InvalidInput(f"the archive cannot be unpacked: {why}") from error
    done.touch()
    return target


def stem_of(filename: str | None, digest: str) -> str:
    """What an archive's data set is called: by the sender's file name, else by its bytes."""
    base = (filename or "").replace("\\", "/").rpartition("/")[2].strip()
    base = base[:-4] if base.casefold().endswith(".zip") else base
    return base or f"archive-{digest[:8]}"
