"""The masks of a stack, from all objects that mark it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.core.errors import VolumeInvalid
from app.formats.case import Classes
from app.formats.dicom import contours, segmentation
from app.formats.dicom.marks import Marks
from app.formats.dicom.place import Arrangement

_READERS = {"segmentation": segmentation.planes_of, "structures": contours.planes_of}


def read_classes(
    marks: Sequence[Marks], placed: Arrangement, names: Sequence[str], where: Path
) -> tuple[Classes, frozenset[int], tuple[str, ...]]:
    """Class indices (D, H, W) by ``names``, the slices that they say nothing of, what to tell.

    A segment is the class of its name, whatever its number. A slice that no frame or contour
    marks is background, unless all objects are such as have frames of what is empty too. Raises
    ``VolumeInvalid`` where none marks the stack, two objects mark it with segments of one name, or
    segments overlap.
    """
    if not marks:
        raise VolumeInvalid(
            f"{where}: no segmentation or structure set of this folder refers to it: import it "
            "without masks, or put them beside it"
        )
    _check_disjoint(marks, where)
    rows, columns, _ = placed.frames[0].size
    classes: Classes = np.zeros((len(placed.frames), rows, columns), dtype=np.uint8)
    # The segment that took each pixel, also where it is background by its name.
    taken: npt.NDArray[np.int32] = np.zeros(classes.shape, dtype=np.int32)
    numbers = {name.casefold(): number for number, name in enumerate(names)}
    segments: list[str] = []
    said: set[int] = set()
    for one in marks:
        own: dict[int, int] = {}
        for slice_, number, inside in _READERS[one.kind](one, placed):
            said.add(slice_)
            if number is None:
                continue
            name = one.names.get(number)
            if name is None:
                raise VolumeInvalid(
                    f"{one.path} marks a segment {number} that it does not describe"
                )
            if number not in own:
                segments.append(name)
                own[number] = len(segments)
            before = taken[slice_][inside]
            if (overlap := before[(before > 0) & (before != own[number])]).size:
                raise VolumeInvalid(
                    f"{one.path}: {name!r} and {segments[overlap[0] - 1]!r} overlap in "
                    f"{overlap.size} pixels of one slice, and a pixel has one class: separate them"
                )
            taken[slice_][inside] = own[number]
            classes[slice_][inside] = numbers[name.casefold()]
    if all(one.whole for one in marks):
        return classes, frozenset(range(len(classes))) - said, ()
    return classes, frozenset(), _told(marks, taken, where)


def _check_disjoint(marks: Sequence[Marks], where: Path) -> None:
    """Raise where two objects say what one class is: nobody can tell which of them is right."""
    by_name: dict[str, Marks] = {}
    for one in marks:
        for name in one.names.values():
            other = by_name.setdefault(name.casefold(), one)
            if other is not one:
                raise VolumeInvalid(
                    f"{where}: {one.path} and {other.path} both hold the segment {name!r}: keep "
                    "the one that is right in the folder"
                )


def _told(marks: Sequence[Marks], taken: npt.NDArray[np.int32], where: Path) -> tuple[str, ...]:
    told = [
        f"{one.path}: the region {name!r} is the outline of the whole body, which holds all "
        "others: it is left out"
        for one in marks
        for name in one.outlines
    ]
    if empty := int((~taken.any(axis=(1, 2))).sum()):
        files = " and ".join(sorted(one.path.name for one in marks))
        told.append(
            f"{where}: nothing is marked in {files} on {empty} of {len(taken)} slices, which are "
            "taken as background"
        )
    return tuple(told)
