"""Which files hold volumes, and what reads them."""

import re
from collections.abc import Iterable
from pathlib import Path

from app.core.errors import VolumeInvalid
from app.formats.files import is_left_behind
from app.formats.itk_file import META, NRRD, open_itk
from app.formats.nifti_file import header_of, open_nifti
from app.formats.volume_file import VolumeFile

# In lower case; a .hdr is asked whether it is NIfTI's.
NIFTI = (".nii.gz", ".nii", ".hdr.gz", ".hdr", ".img.gz", ".img")
ITK = (*NRRD, *META)
_ENDING = re.compile(
    "(" + "|".join(re.escape(ending) for ending in (*NIFTI, *ITK)) + ")$", re.IGNORECASE
)


def ending_of(path: Path) -> str | None:
    """The ending by which a file is a volume, in lower case; None for other files."""
    match = _ENDING.search(path.name)
    return match[1].lower() if match and match.start() else None


def stem(path: Path) -> str:
    """The name of a volume's file without its ending."""
    return _ENDING.sub("", path.name) or path.name


def open_volume(path: Path) -> VolumeFile:
    """Read the header of a volume of any format. Raises ``VolumeInvalid``, naming the file."""
    ending = ending_of(path)
    if ending in ITK:
        return open_itk(path)
    if ending is None:
        raise VolumeInvalid(
            f"{path} is no volume by its name: it must end in {', '.join((*NIFTI[:2], *ITK))}"
        )
    return open_nifti(path)


def volumes_among(paths: Iterable[Path], endings: Iterable[str]) -> list[Path]:
    """The files that end so, in their order; of a pair of header and image, the header."""
    wanted = set(endings)
    found = [path for path in paths if ending_of(path) in wanted and not is_left_behind(path.name)]
    return list(dict.fromkeys(header_of(path) for path in found))


def beside(folder: Path, name: str, endings: Iterable[str] = (*NIFTI, *ITK)) -> Path | None:
    """The volume of that name in a folder, whatever its ending; the case of which is free."""
    for ending in endings:
        for written in (ending, ending.upper()):
            path = folder / (name + written)
            if path.is_file():
                return header_of(path)
    return None
