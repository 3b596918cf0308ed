"""A stack of frames as a case: pixels in order, one geometry, and what leads back to the files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.errors import VolumeInvalid
from app.core.rescale import Rescale
from app.formats.case import CaseVolume, ChannelStack, Classes
from app.formats.channels import Choice
from app.formats.dicom import kept
from app.formats.dicom.frame import Frame
from app.formats.dicom.groups import Groups
from app.formats.dicom.header import read_header
from app.formats.dicom.marks import Marks
from app.formats.dicom.masks import read_classes
from app.formats.dicom.pixels import check_colours, decoded
from app.formats.dicom.place import Arrangement, arranged
from app.formats.dicom.quiet import attempt
from app.formats.dicom.sorting import Stack
from app.formats.grid import LARGEST
from app.formats.stored import check_width, loss_of, to_stored

Pixels = npt.NDArray[Any]


def read_stack(
    stack: Stack,
    where: Path,
    choice: Choice,
    marks: Sequence[Marks] | None = None,
    names: Sequence[str] = (),
) -> CaseVolume:
    """Decode a stack, in order. Stored values are kept with the file's own rescaling.

    ``where``: what messages call it; ``marks``: the objects that mark it, None where masks are
    not asked for; ``names``: of the classes that these bring. A frame that cannot be decoded is
    left out by name, and what is left judged as any stack. Raises ``VolumeInvalid``.
    """
    for frame in stack.frames:
        check_colours(frame, choice)
    placed = arranged(stack.frames, str(where))
    pixels, left_out = _pixels(placed, where)
    if len(pixels) < len(placed.frames):
        placed = arranged([f for f in placed.frames if f.file in pixels], str(where))
    ways = [pixels[frame.file][0].rescale for frame in placed.frames]
    planes = _stacked([pixels.pop(frame.file)[1] for frame in placed.frames])
    if choice.colour:
        channels = [to_stored(planes[..., n], where) for n in choice.numbers]
    else:
        channels = [_grey(planes, ways, placed.frames[0].tone == "dark", where)]
    losses = [line for c in channels for line in loss_of(c, where, planes.dtype)]
    classes: Classes | None = None
    unlabelled: frozenset[int] = frozenset()
    told: tuple[str, ...] = ()
    if marks is not None:
        classes, unlabelled, told = read_classes(marks, placed, names, where)
    gaps = placed.indices != tuple(range(len(placed.indices)))
    return CaseVolume(
        channels=tuple(channels),
        classes=classes,
        unlabelled=unlabelled,
        geometry=placed.geometry,
        indices=placed.indices if gaps else (),
        source=_source(placed),
        warnings=(*placed.warnings, *_joined(stack, where), *losses, *told),
        left_out={**stack.left_out, **left_out},
    )


def _pixels(
    placed: Arrangement, where: Path
) -> tuple[dict[str, tuple[Frame, Pixels]], Mapping[str, str]]:
    """By the name of each frame: the frame as its pixels need it, and these."""
    found: dict[str, tuple[Frame, Pixels]] = {}
    left_out: dict[str, str] = {}
    # In the order of files, so that one of many frames is opened once.
    by_file = sorted(placed.frames, key=lambda frame: (str(frame.path), frame.number or 0))
    for frame, array in decoded(by_file):
        if isinstance(array, str):
            left_out[frame.file] = array
        else:
            found[frame.file] = (frame, array)
    if not found:
        file, reason = next(iter(left_out.items()))
        raise VolumeInvalid(f"{where} holds no image that can be read: {file}: {reason}")
    return found, left_out


def _stacked(planes: list[Pixels]) -> Pixels:
    """One array of all planes, which are given up one by one: a case is held once."""
    kind = np.result_type(*{plane.dtype for plane in planes})
    stack: Pixels = np.empty((len(planes), *planes[0].shape), dtype=kind)
    for n in reversed(range(len(planes))):
        stack[n] = planes.pop()
    return stack


def _joined(stack: Stack, where: Path) -> tuple[str, ...]:
    """What is to be told of a stack whose files lie apart: some anonymisers give UIDs twice."""
    folders = {frame.path.parent for frame in stack.frames}
    if len(folders) == 1:
        return ()
    said = f"{where}: its images lie in {len(folders)} folders and say that they are of one series"
    return (f"{said}: are they of one patient?",)


def _grey(stack: Pixels, ways: Sequence[Rescale], dark: bool, where: Path) -> ChannelStack:
    """One channel, with a way back for each slice where they differ.

    ``dark``: the slopes are negative, and the order of what is stored has to stay as it is.
    """
    first = ways[0]
    if len(set(ways)) == 1:
        if not dark:
            return to_stored(stack, where, first.slope, first.intercept, first.unit)
        return _turned(to_stored(stack, where, -first.slope, -first.intercept, first.unit))
    if stack.dtype.kind in "iub" and int(stack.max()) - int(stack.min()) <= LARGEST:
        channel = to_stored(stack, where)
        offset = channel.rescale[0].offset
        own = tuple(Rescale(offset, way.slope, way.intercept, way.unit) for way in ways)
        for way in own:
            check_width(way.values(np.array([channel.pixels.min(), channel.pixels.max()])), where)
        return ChannelStack(channel.pixels, own)
    # More than 16 bits: no way back of a slice's own can be kept.
    values = np.stack([way.values(plane) for way, plane in zip(ways, stack, strict=True)])
    if not dark:
        return to_stored(values, where, unit=first.unit)
    return _turned(to_stored(-values, where, unit=first.unit))


def _turned(channel: ChannelStack) -> ChannelStack:
    """The same stored numbers, for values of the other sign."""
    (way,) = channel.rescale
    back = Rescale(way.offset, -way.slope, -way.intercept, way.unit)
    return replace(channel, rescale=(back,))


def _source(placed: Arrangement) -> dict[str, Any]:
    """UIDs and technical values: what a SEG has to refer to, and nothing of the patient."""
    first = placed.frames[0]
    header = attempt(lambda: read_header(first.path, kept.READ))
    found: dict[str, Any] = {
        "kind": "dicom",
        "modality": None,
        "sop_class": first.ids.sop_class,
        "study": first.ids.study,
        "series": first.ids.series,
        "frame_of_reference": first.ids.frame_of_reference,
        "instances": [
            [index, frame.ids.instance, frame.number]
            for index, frame in zip(placed.indices, placed.frames, strict=True)
        ],
        "acquisition": {},
    }
    if header is not None:
        found["modality"] = kept.modality_of(header.dataset)
        found["acquisition"] = kept.technical_values(Groups.everywhere(header.dataset))
    return found
