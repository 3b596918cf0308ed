"""The files of a folder, each judged by its header: an image's frames, or why it is none."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.core.errors import VolumeInvalid
from app.formats.dicom import kept
from app.formats.dicom.elements import Unclear, text
from app.formats.dicom.frame import Frame
from app.formats.dicom.frames import frames_of, sop_class_of
from app.formats.dicom.header import Header, read_header
from app.formats.dicom.kinds import SEGMENTATIONS, STRUCTURES, is_directory, why_no_image
from app.formats.dicom.marks import Marks, read_marks


@dataclass
class Pile:
    """Frames of images in the order of the files, objects that mark images, what is left out."""

    frames: list[Frame] = field(default_factory=list)
    marks: list[Marks] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def read_pile(files: Iterable[Path], masks: bool = False) -> Pile:
    """Judge files by their headers. ``masks``: segmentations and structure sets are wanted."""
    pile = Pile()
    for path in files:
        try:
            header = read_header(path, kept.READ)
            if header is None:
                pile.left_out[str(path)] = "it is no DICOM file"
            else:
                _sort_in(pile, header, masks)
        except VolumeInvalid as invalid:
            # The file is named once: a message begins with its path.
            reason = str(invalid).removeprefix(str(path))
            pile.left_out[str(path)] = reason[2:] if reason.startswith(": ") else f"it{reason}"
    return pile


def _sort_in(pile: Pile, header: Header, masks: bool) -> None:
    sop_class = sop_class_of(header)
    if is_directory(sop_class):
        return
    if masks and sop_class in SEGMENTATIONS:
        pile.marks.append(read_marks(header.path, "segmentation"))
    elif masks and sop_class == STRUCTURES:
        pile.marks.append(read_marks(header.path, "structures"))
    elif (reason := why_no_image(sop_class, _modality(header))) is not None:
        pile.left_out[str(header.path)] = reason
    else:
        pile.frames += frames_of(header)


def _modality(header: Header) -> str:
    try:
        return text(header.dataset, "Modality")
    except Unclear:
        return ""
