"""Where the frames of a stack lie: their order, their places, and one affine for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.formats.dicom.elements import Vector
from app.formats.dicom.frame import Frame, Place
from app.formats.files import natural

Whole = npt.NDArray[np.int64]

# A slice beside its even place: a part of the distance that is refused, and mm that are told.
_REFUSED, _TOLD = 0.05, 0.01
# How far a gap may be from whole multiples of the distance, in distances.
_MULTIPLE = 0.1
# Two frames nearer than this part of the usual distance, or than so many mm, are at one place.
_SAME, _SAME_MM = 0.05, 1e-3
# A stack of more places has slices that belong to something else, however even the distances.
_MOST_PLACES = 4096


@dataclass(frozen=True)
class Arrangement:
    """Frames in order, the index in the case of each, the place of the whole, what to tell."""

    frames: tuple[Frame, ...]
    indices: tuple[int, ...]
    geometry: Geometry | None
    warnings: tuple[str, ...] = ()


def arranged(frames: Sequence[Frame], where: str) -> Arrangement:
    """Frames of one orientation, size and spacing as a stack. Raises ``VolumeInvalid``.

    Distances that are whole multiples of the spacing leave places empty; others, and two frames
    at one place, are refused. Without positions it is an order, no more, and is told so.
    """
    places = [frame.place for frame in frames if frame.place is not None]
    if len(places) < len(frames):
        return _ordered(frames, where)
    groups = at_one_place(frames)
    for group in groups:
        if len(group) > 1:
            raise VolumeInvalid(
                f"{where}: two images at one place: {group[0].short} and {group[1].short}, "
                "and nothing in their headers tells stacks apart: if they are echoes or points of "
                "time, import each from a folder of its own"
            )
    ordered = [group[0] for group in groups]
    indices, step, warnings = _steps(ordered, where)
    geometry, told = _geometry(ordered, step, where)
    return Arrangement(tuple(ordered), indices, geometry, (*warnings, *told))


def at_one_place(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames with places, in order along their normal, those of one place together."""
    first = _place(frames[0])
    along = {id(frame): float(first.normal @ _place(frame).position) for frame in frames}
    ordered = sorted(frames, key=lambda f: (along[id(f)], f.instance_number or 0, f.number or 0))
    gaps = np.diff([along[id(frame)] for frame in ordered])
    apart = gaps[gaps > _SAME_MM]
    least = max(_SAME_MM, _SAME * float(np.median(apart))) if len(apart) else _SAME_MM
    groups = [[ordered[0]]]
    for frame, gap in zip(ordered[1:], gaps, strict=True):
        if gap > least:
            groups.append([])
        groups[-1].append(frame)
    return groups


def _place(frame: Frame) -> Place:
    if frame.place is None:
        raise VolumeInvalid(f"{frame.path} does not say where it lies")
    return frame.place


def _steps(
    frames: Sequence[Frame], where: str
) -> tuple[tuple[int, ...], Vector | None, tuple[str, ...]]:
    """The index of each frame, (3,) from an index to the next, and what to tell."""
    if len(frames) == 1:
        return (0,), None, ()
    places = [_place(frame) for frame in frames]
    positions = np.stack([place.position for place in places])
    gaps = np.diff(positions @ places[0].normal)
    # The lower of the two in the middle: half of the gaps may be wide ones.
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    counts = np.maximum(np.rint(gaps / usual), 1)
    # Over a wide gap the rounding of a single distance adds up: the mean of all tells better.
    usual = float(gaps[counts == 1].mean())
    counts = np.maximum(np.rint(gaps / usual), 1)
    if counts.sum() > max(_MOST_PLACES, 4 * len(frames)):
        raise VolumeInvalid(
            f"{where}: its slices lie {usual:.4g} mm apart, and {_between(frames, gaps)} are "
            f"{float(gaps.max()):.4g} mm apart: they belong to different stacks, import each from "
            "a folder of its own"
        )
    beside = np.abs(gaps / usual - counts)[counts > 1]
    if beside.size and beside.max() > _MULTIPLE:
        raise VolumeInvalid(
            f"{where}: its slices lie {usual:.4g} mm apart, and {_between(frames, gaps)} are "
            f"{float(gaps.max()):.4g} mm apart, which is no whole multiple: if these are two "
            "stacks, import each from a folder of its own"
        )
    numbers: Whole = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    step = (positions[-1] - positions[0]) / float(numbers[-1])
    away = np.linalg.norm(positions - (positions[0] + numbers[:, np.newaxis] * step), axis=1)
    worst, length = float(away.max()), float(np.linalg.norm(step))
    if worst > _REFUSED * length:
        raise VolumeInvalid(
            f"{where}: the slices do not lie at equal distances, nor at whole multiples of them: "
            f"most are {usual:.4g} mm apart, but {_between(frames, gaps)} are "
            f"{float(gaps.max()):.4g}. Are slices missing, or are these two stacks?"
        )
    warnings = _of_gaps(frames, numbers, where)
    if worst > _TOLD:
        warnings.append(f"{where}: slices lie up to {worst:.3g} mm beside equal distances")
    return tuple(int(n) for n in numbers), step, tuple(warnings)


def _of_gaps(frames: Sequence[Frame], numbers: Whole, where: str) -> list[str]:
    """A line for each gap: which places of the case are empty, and between which files."""
    told = []
    for (low, before), (high, after) in pairwise(zip(numbers.tolist(), frames, strict=True)):
        if high - low > 1:
            empty = f"place {low + 1} is"
            if high - low > 2:
                word = "and" if high - low == 3 else "to"
                empty = f"places {low + 1} {word} {high - 1} are"
            told.append(
                f"{where}: {empty} empty: by their distance, slices are missing between "
                f"{before.short} and {after.short}"
            )
    if len(told) > 20:
        return [*told[:20], f"{where}: {len(told) - 20} further gaps"]
    return told


def _geometry(
    frames: Sequence[Frame], step: Vector | None, where: str
) -> tuple[Geometry | None, tuple[str, ...]]:
    first = _place(frames[0])
    told: tuple[str, ...] = ()
    if first.spacing is None:
        line = "PixelSpacing is missing: the place and size of its pixels are unknown"
        return None, (f"{where}: {line}, only the order of its slices is kept",)
    if step is None:
        step = first.normal * (first.thickness or 1.0)
        if first.thickness is None:
            told = (f"{where}: its one slice says no thickness: it is taken as 1 mm thick",)
    try:
        geometry = Geometry.of_dicom(
            first.position.tolist(),
            first.orientation.tolist(),
            first.spacing.tolist(),
            step.tolist(),
        )
    except InvalidInput as error:
        raise VolumeInvalid(f"{where}: the headers place it nowhere: {error}") from error
    return geometry, told


def _ordered(frames: Sequence[Frame], where: str) -> Arrangement:
    """Without positions: the frames of one file as they come, files by number or by name."""
    by_name = sorted(frames, key=lambda f: (natural(str(f.path)), f.number or 0))
    numbers = [frame.instance_number for frame in frames]
    line = "its place is unknown, because the headers say no position and orientation"
    if len({frame.path for frame in frames}) > 1:
        if None not in numbers and len(set(numbers)) == len(numbers):
            by_name.sort(key=lambda f: f.instance_number or 0)
            line += "; its slices are in the order of InstanceNumber"
        else:
            line += (
                "; they have no InstanceNumber of their own either, so the order is a guess by the "
                "names of the files: check it"
            )
    return Arrangement(tuple(by_name), tuple(range(len(by_name))), None, (f"{where}: {line}",))


def multiplicity(frames: Sequence[Frame]) -> int:
    """How many frames lie at one place, at most."""
    return max(len(group) for group in at_one_place(frames))


def _between(frames: Sequence[Frame], gaps: Vector) -> str:
    widest = int(gaps.argmax())
    return f"{frames[widest].short} and {frames[widest + 1].short}"
