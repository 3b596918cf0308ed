"""Measured values often lie on a grid of even steps: which, and the way back from its numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.core.rescale import Rescale, Values

# The number of the last step that 16 bits hold.
LARGEST = 65535
# Whole numbers beyond this are not exact in float64, in which values come back.
EXACT = 2**53
# How far two steps of a grid may differ, as a part of a step: the rounding of float32 values.
_UNEVEN = 0.02
# Voxels that are looked at to see that a volume lies on no grid.
_SAMPLE = 100_000


@dataclass(frozen=True)
class Grid:
    """Values that are (number of a step) by ``rescale``, at most ``error`` beside the file's.

    ``step``: from one to the next, from the lowest value on.
    """

    rescale: Rescale
    error: float
    step: float


def grid_of(values: Values, dtype: np.dtype[Any]) -> Grid | None:
    """The grid that all values (D, H, W) lie on, or None.

    Where no way back is exact, one whose values round to the file's in its own ``dtype`` is best.
    """
    levels = _levels(values)
    if levels is None:
        return None
    low, span = float(levels[0]), float(levels[-1] - levels[0])
    if span == 0:
        return Grid(Rescale(intercept=low), 0.0, 1.0)
    numbers = _numbers(levels, dtype)
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

    best: tuple[tuple[bool, float], Rescale] | None = None
    for way in _ways_back(levels, numbers, step):
        found = worth(way)
        if best is None or found < best[0]:
            best = found, way
        if found == (False, 0.0):
            break  # nothing is better
    return None if best is None else Grid(best[1], best[0][1], step)


def _ways_back(levels: Values, numbers: Values, step: float) -> Iterator[Rescale]:
    """Mappings of the steps' numbers that may give the values bit for bit, likeliest first."""
    low = float(levels[0])
    short = [float(f"{step:.{digits}g}") for digits in range(1, 16)]
    # Files of single precision were often computed with a step of single precision.
    single = [float(np.float32(one)) for one in short[:8]]
    for one in dict.fromkeys([step, *short, *single]):
        offset = round(low / one) if one and abs(low / one) < EXACT else 0
        if abs(low - offset * one) <= _UNEVEN * step:
            yield Rescale(offset, one, 0.0)
        # The lowest value carries the rounding of its file's type; the mean of all does not.
        middle = float((levels - numbers * one).mean())
        if abs(low - middle) <= _UNEVEN * step:
            short_middle = (float(f"{middle:.{digits}g}") for digits in range(2, 12))
            for intercept in dict.fromkeys([low, middle, *short_middle]):
                yield Rescale(0, one, intercept)


def _levels(values: Values) -> Values | None:
    """All values that occur, sorted; None for more than a grid of 16 bits has."""
    flat = values.reshape(-1)
    every = max(1, flat.size // _SAMPLE)
    levels: Values = np.unique(flat[::every])
    # Most volumes of measured floats are told by two of their values lying too close together.
    if len(levels) > 1 and np.ptp(flat) > float(np.diff(levels).min()) * (LARGEST + 1):
        return None
    for plane in values if every > 1 else ():
        levels = np.union1d(levels, plane)
        if len(levels) > LARGEST + 1:
            return None
    return levels


def _numbers(levels: Values, dtype: np.dtype[Any]) -> Values | None:
    """The number of the step that each level lies on, from 0; None where there is no grid."""
    gaps = np.diff(levels)
    span = float(gaps.sum())
    step = float(gaps.min())
    # What rounding in the file's own type does to a gap, and so to each step of a larger one.
    noise = 2 * float(np.abs(levels).max()) * (np.finfo(dtype).eps if dtype.kind == "f" else 0.0)
    # Euclid's algorithm: the remainders of the gaps become the step until none is left.
    while step > 0 and span <= step * (LARGEST + 1):
        ratio = np.rint(gaps / step)
        rest = np.abs(gaps - ratio * step)
        left = rest[rest > np.minimum(_UNEVEN * step + noise * ratio, step / 4)]
        if not len(left):
            numbers: Values = np.rint((levels - levels[0]) / _refined(step, gaps))
            return numbers if numbers[-1] <= LARGEST else None
        step = float(left.min())
    return None


def _refined(step: float, gaps: Values) -> float:
    """The step by all gaps together, from the smallest: there the number of steps is certain."""
    length, count = 0.0, 0
    for gap in np.sort(gaps).tolist():
        length, count = length + gap, count + round(gap / step)
        step = length / count
    return step
