"""Values of a file as 8- or 16-bit pictures, with the way back: exact wherever 16 bits can hold it.

In this order: whole numbers that span no more than 16 bits are kept as they are; numbers that lie
on a grid of at most 65,536 steps become the numbers of the steps; anything else is rounded to
65,536 steps, and the largest error is stated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.errors import VolumeInvalid
from app.core.pixels import Pixels
from app.core.rescale import Rescale, Values
from app.formats.case import ChannelStack

Voxels = npt.NDArray[Any]

_LARGEST = 65535
# Whole numbers beyond this are not exact in float64, in which values come back.
_EXACT = 2**53
# Beyond this, the arithmetic of the way back leaves float64.
_WIDEST = 1e300
# How far two steps of a grid may differ, as a part of a step: the rounding of float32 values.
_UNEVEN = 0.02
# Voxels that are looked at to see that a volume lies on no grid.
_SAMPLE = 100_000


def to_stored(
    voxels: Voxels,
    path: Path,
    slope: float = 1.0,
    intercept: float = 0.0,
    unit: str | None = None,
) -> ChannelStack:
    """Store what a file holds, (D, H, W), where its values are ``voxels`` · slope + intercept.

    The file's own slope and intercept are kept with its own integers. Raises ``VolumeInvalid``
    for what is no number, or spans more than float64 can compute with.
    """
    if voxels.dtype.kind not in "iufb":
        raise VolumeInvalid(f"{path} holds {voxels.dtype}: one grey value a voxel is expected")
    whole = _whole(voxels)
    if whole is not None:
        pixels, offset = whole
        return ChannelStack(pixels, (Rescale(offset, slope, intercept, unit),))
    with np.errstate(over="ignore"):
        values = voxels.astype(np.float64)
        if (slope, intercept) != (1.0, 0.0):
            values = values * slope + intercept
        span = float(values.max() - values.min())
    if not span < _WIDEST:
        raise VolumeInvalid(
            f"{path} holds values from {values.min():g} to {values.max():g}, "
            "which is more than can be stored: fix the file"
        )
    return _nearest(values, voxels.dtype, unit)


def _whole(voxels: Voxels) -> tuple[Pixels, int] | None:
    """Whole numbers that span at most 16 bits as unsigned ones, and what to add to these."""
    # Many files store integers as floats; these are as exact as integers.
    if voxels.dtype.kind == "f" and not np.array_equal(voxels, np.rint(voxels)):
        return None
    low, high = int(voxels.min()), int(voxels.max())
    if high - low > _LARGEST or max(abs(low), abs(high)) > _EXACT:
        return None
    if low >= 0 and high <= 255:
        return voxels.astype(np.uint8), 0
    if low >= 0 and high <= _LARGEST:
        return voxels.astype(np.uint16), 0
    return (voxels.astype(np.int64) - low).astype(np.uint16), low


def _nearest(values: Values, dtype: np.dtype[Any], unit: str | None) -> ChannelStack:
    """On a grid if there is one, else rounded: whichever comes back nearer."""
    low, high = float(values.min()), float(values.max())
    step = (high - low) / _LARGEST or 1.0
    # A way back may be tried that leaves the range of its type: it is the worst, no more.
    with np.errstate(over="ignore", invalid="ignore"):
        grid = _grid(values, dtype)
    if grid is not None and grid[1] <= step / 2:
        rescale, error, step = grid
    else:
        rescale, error = Rescale(0, step, low), None
    rescale = Rescale(rescale.offset, rescale.slope, rescale.intercept, unit)
    pixels = np.rint((values - low) / step).clip(0, _LARGEST).astype(np.uint16)
    if error is None:
        differences = (rescale.values(p) - v for p, v in zip(pixels, values, strict=True))
        error = max(float(np.abs(one).max()) for one in differences)
    return ChannelStack(pixels, (rescale,), error)


def _grid(values: Values, dtype: np.dtype[Any]) -> tuple[Rescale, float, float] | None:
    """The grid that all values lie on: the way back, its largest error, and the step.

    Where no way back is exact, one whose values round to the file's in its own ``dtype`` is best.
    """
    levels = _levels(values)
    if levels is None:
        return None
    low, span = float(levels[0]), float(levels[-1] - levels[0])
    if span == 0:
        return Rescale(intercept=low), 0.0, 1.0
    numbers = _numbers(levels)
    if numbers is None:
        return None
    step = span / float(numbers[-1])
    if not np.array_equal(np.rint((levels - low) / step), numbers):
        return None

    def worth(way: Rescale) -> tuple[bool, float]:
        back = way.values(numbers)
        lost = not np.array_equal(back.astype(dtype), levels.astype(dtype))
        error = float(np.abs(back - levels).max())
        return lost, error if np.isfinite(error) else np.inf

    best = min(_ways_back(low, step), key=worth)
    return best, worth(best)[1], step


def _ways_back(low: float, step: float) -> Iterator[Rescale]:
    """Mappings of the steps' numbers that may give the values bit for bit, likeliest first."""
    short = [float(f"{step:.{digits}g}") for digits in range(1, 16)]
    # Files of single precision were often computed with a step of single precision.
    single = [float(np.float32(one)) for one in short[:8]]
    for one in dict.fromkeys([step, *short, *single]):
        offset = round(low / one) if one and abs(low / one) < _EXACT else 0
        if abs(low - offset * one) <= _UNEVEN * step:
            yield Rescale(offset, one, 0.0)
        yield Rescale(0, one, low)


def _levels(values: Values) -> Values | None:
    """All values that occur, sorted; None for more than a grid of 16 bits has."""
    flat = values.reshape(-1)
    span = float(flat.max() - flat.min())
    sample = np.unique(flat[:: max(1, flat.size // _SAMPLE)])
    # Most volumes of measured floats are told by two of their values lying too close together.
    if len(sample) > 1 and span > float(np.diff(sample).min()) * (_LARGEST + 1):
        return None
    levels: Values = np.unique(values[0])
    for plane in values[1:]:
        levels = np.union1d(levels, plane)
        if len(levels) > _LARGEST + 1:
            return None
    return levels


def _numbers(levels: Values) -> Values | None:
    """The number of the step that each level lies on, from 0; None where there is no grid."""
    gaps = np.diff(levels)
    span = float(gaps.sum())
    step = float(gaps.min())
    # Euclid's algorithm: the remainders of the gaps become the step until none is left.
    while step > 0 and span <= step * (_LARGEST + 1):
        rest = np.abs(gaps - np.rint(gaps / step) * step)
        left = rest[rest > _UNEVEN * step]
        if not len(left):
            numbers: Values = np.concatenate([[0.0], np.cumsum(np.rint(gaps / step))])
            return numbers if numbers[-1] <= _LARGEST else None
        step = float(left.min())
    return None


def loss_of(channel: ChannelStack, path: Path, dtype: np.dtype[Any]) -> list[str]:
    """A line for the report where values do not come back as they were, else nothing.

    ``dtype``: of the file's values; what vanishes in its own rounding is no loss.
    """
    if len(channel.rescale) > 1 or channel.largest_error == 0:
        return []
    low, high = channel.rescale[0].values(np.array([channel.pixels.min(), channel.pixels.max()]))
    rounding = np.finfo(dtype).eps if dtype.kind == "f" else 0.0
    if channel.largest_error <= rounding * max(abs(low), abs(high)):
        return []
    line = (
        f"{path}: its values, from {low:.6g} to {high:.6g}, take more than 16 bits: they were "
        f"rounded, and come back within {channel.largest_error:.3g}"
    )
    return [line]
