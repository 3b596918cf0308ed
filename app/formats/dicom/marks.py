"""Objects that mark images, SEG and RTSTRUCT: which images, and what their segments are called."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydicom.dataset import Dataset

from app.core.errors import VolumeInvalid
from app.formats.dicom import kept
from app.formats.dicom.elements import Unclear, items, text, uid, whole
from app.formats.dicom.frames import size_of
from app.formats.dicom.header import read_header
from app.formats.dicom.sorting import Stack

BACKGROUND = "background"
# What our own segmentations name as the model of device that made them.
WRITER = "Sfumato"
# As long as a project's class may be called.
_LONGEST = 64


@dataclass(frozen=True)
class Marks:
    """A SEG or a structure set.

    ``names``: of its segments or regions, by their number; ``outlines``: regions that hold the
    whole body, and so all others, and are no class; ``series``, ``instances``: UIDs of the images
    that it refers to; ``whole``: it has frames of every slice that was looked at, also empty ones.
    """

    path: Path
    kind: Literal["segmentation", "structures"]
    names: Mapping[int, str]
    outlines: tuple[str, ...]
    series: frozenset[str]
    instances: frozenset[str]
    whole: bool = False

    def belong_to(self, stack: Stack) -> bool:
        """Whether it marks images of a stack; by their series, if it names no single ones."""
        if self.instances:
            return any(frame.ids.instance in self.instances for frame in stack.frames)
        return stack.frames[0].ids.series in self.series


def read_marks(path: Path, kind: Literal["segmentation", "structures"]) -> Marks:
    """What an object marks, by its header. Raises ``VolumeInvalid``."""
    header = read_header(path, kept.MARKS)
    if header is None:
        raise VolumeInvalid(f"{path} is no DICOM file")
    dataset = header.dataset
    try:
        if kind == "segmentation":
            size_of(header)
        names = _segments(dataset) if kind == "segmentation" else _regions(dataset)
        outer = _outer(dataset, names)
        series, instances = set(), set()
        for one in _references(dataset):
            series.add(uid(one, "SeriesInstanceUID"))
            instances.add(uid(one, "ReferencedSOPInstanceUID"))
    except Unclear as unclear:
        reason = str(unclear)
    except Exception:  # a damaged header leads anywhere
        reason = "its header cannot be understood"
    else:
        outlines = tuple(names.pop(number) for number in outer)
        # Others leave empty frames out, so that what has none may have been looked at or not.
        ours = text(dataset, "ManufacturerModelName") == WRITER
        return Marks(path, kind, names, outlines, _known(series), _known(instances), ours)
    raise VolumeInvalid(f"{path}: {reason}: export it again")


def class_names(marks: Sequence[Marks]) -> list[str]:
    """The classes that objects bring together: the background, then each name once, in order."""
    found: dict[str, str] = {BACKGROUND: BACKGROUND}
    for one in marks:
        for _, name in sorted(one.names.items()):
            found.setdefault(name.casefold(), name)
    return list(found.values())


def _segments(dataset: Dataset) -> dict[int, str]:
    return {
        number: _name(segment, "SegmentLabel", number)
        for segment in items(dataset, "SegmentSequence")
        if (number := whole(segment, "SegmentNumber")) is not None
    }


def _regions(dataset: Dataset) -> dict[int, str]:
    return {
        number: _name(region, "ROIName", number)
        for region in items(dataset, "StructureSetROISequence")
        if (number := whole(region, "ROINumber")) is not None
    }


def _outer(dataset: Dataset, names: Mapping[int, str]) -> list[int]:
    """The regions that are the outline of the whole body, unless there are no others."""
    found = {
        whole(one, "ReferencedROINumber")
        for one in items(dataset, "RTROIObservationsSequence")
        if text(one, "RTROIInterpretedType") == "EXTERNAL"
    }
    outer = [number for number in names if number in found]
    return outer if len(outer) < len(names) else []


def _name(segment: Dataset, keyword: str, number: int) -> str:
    written = " ".join(text(segment, keyword).split())
    return "".join(c for c in written if c.isprintable())[:_LONGEST].strip() or f"segment {number}"


def _references(dataset: Dataset) -> Iterator[Dataset]:
    """Items that name series and images, wherever the kind of object puts them."""
    for series in items(dataset, "ReferencedSeriesSequence"):
        yield series
        yield from items(series, "ReferencedInstanceSequence")
    for frame in items(dataset, "ReferencedFrameOfReferenceSequence"):
        for study in items(frame, "RTReferencedStudySequence"):
            for series in items(study, "RTReferencedSeriesSequence"):
                yield series
                yield from items(series, "ContourImageSequence")
    for region in items(dataset, "ROIContourSequence"):
        for contour in items(region, "ContourSequence"):
            yield from items(contour, "ContourImageSequence")
    for groups in items(dataset, "PerFrameFunctionalGroupsSequence"):
        for derivation in items(groups, "DerivationImageSequence"):
            yield from items(derivation, "SourceImageSequence")


def _known(found: set[str | None]) -> frozenset[str]:
    return frozenset(one for one in found if one)
