"""Values of a file as 8- or 16-bit pictures, with the way back: exact wherever 16 bits can hold it.

In this order: whole numbers that span no more than 16 bits are kept as they are; numbers that lie
on a grid of at most 65,536 steps become the numbers of the steps; anything else is rounded to
65,536 steps, and the largest error is stated. A few voxels that lie so far from all others that
they would take nearly all of the steps (a fill value, a damaged detector) are kept at the end of
the others' range instead, and counted.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.errors import VolumeInvalid
from app.core.pixels import Pixels
from app.core.rescale import Rescale, Values
from app.formats.case import ChannelStack
from app.formats.grid import EXACT, LARGEST, grid_of

Voxels = npt.NDArray[Any]

# Beyond this, the squares that a case is standardised by leave float64.
_WIDEST = 1e150
# Voxels may be cut off from volumes of this size on: at least a few, and at most one of so many.
_SMALLEST, _FEW, _PART, _MOST_CUT = 1000, 4, 10_000, 100
# How many times the range of all others away: these would keep less than the steps of 8 bits.
_FAR = 256
# Values that come back within this part of a step of the others' range: nothing is to be won.
_CUT_FROM = 0.01


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
    if slope < 0:
        # What is stored runs with the values: a negative slope would say that it is shown turned.
        wide = np.float64 if voxels.dtype == np.uint64 else np.int64
        voxels = -(voxels.astype(wide) if voxels.dtype.kind in "iub" else voxels)
        slope = -slope
    whole = _whole(voxels)
    if whole is not None:
        pixels, offset = whole
        rescale = Rescale(offset, slope, intercept, unit)
        if (slope, intercept) != (1.0, 0.0):
            with np.errstate(over="ignore"):
                check_width(rescale.values(np.array([pixels.min(), pixels.max()])), path)
        return ChannelStack(pixels, (rescale,))
    with np.errstate(over="ignore"):
        values = voxels.astype(np.float64)
        if (slope, intercept) != (1.0, 0.0):
            values = values * slope + intercept
    check_width(values, path)
    stored = _nearest(values, voxels.dtype, unit)
    if voxels.dtype.kind in "iu" and (largest := float(np.abs(values).max())) > EXACT:
        # Whole numbers that double precision has rounded before anything else did.
        stored = replace(stored, largest_error=stored.largest_error + float(np.spacing(largest)))
    ends = _ends(values) if stored.largest_error else None
    if ends is None or stored.largest_error * LARGEST <= _CUT_FROM * (ends[1] - ends[0]):
        return stored
    cut = int(np.count_nonzero((values < ends[0]) | (values > ends[1])))
    values = values.clip(*ends)
    whole = _whole(values)
    if whole is not None:
        return ChannelStack(whole[0], (Rescale(whole[1], 1.0, 0.0, unit),), cut=cut)
    return replace(_nearest(values, voxels.dtype, unit), cut=cut)


def check_width(values: Values, path: Path) -> None:
    """Raise ``VolumeInvalid`` for values beyond what can be computed with."""
    low, high = float(values.min()), float(values.max())
    if not max(abs(low), abs(high)) < _WIDEST:
        raise VolumeInvalid(
            f"{path} holds values from {low:g} to {high:g}, which is more than can be stored: "
            "fix the file"
        )


def _ends(values: Values) -> tuple[float, float] | None:
    """The lowest and highest of all values but a few that lie far away from all others.

    None where there are no such few.
    """
    few = min(max(_FEW, values.size // _PART), _MOST_CUT)
    if values.size < _SMALLEST:
        return None
    flat = np.partition(values.reshape(-1), (few, values.size - 1 - few))
    low, high = float(flat[few]), float(flat[-1 - few])
    reach = (high - low) * _FAR
    # What lies at the ends only because it is rare lies near the others.
    near = values[(values >= low - reach) & (values <= high + reach)]
    if not reach or near.size == values.size:
        return None
    ends = float(near.min()), float(near.max())
    return ends if np.ptp(values) > _FAR * (ends[1] - ends[0]) else None


def _whole(voxels: Voxels) -> tuple[Pixels, int] | None:
    """Whole numbers that span at most 16 bits as unsigned ones, and what to add to these."""
    # Many files store integers as floats; these are as exact as integers.
    if voxels.dtype.kind == "f" and not np.array_equal(voxels, np.rint(voxels)):
        return None
    if voxels.dtype == np.uint8:
        return voxels, 0
    low, high = int(voxels.min()), int(voxels.max())
    if high - low > LARGEST or max(abs(low), abs(high)) > EXACT:
        return None
    if low >= 0 and high <= 255:
        return voxels.astype(np.uint8), 0
    if low >= 0 and high <= LARGEST:
        return voxels.astype(np.uint16), 0
    if voxels.dtype.kind == "f":
        voxels = voxels.astype(np.int64)
    # In 16 bits differences come out right whatever is lost on the way: no wide copy is made.
    return voxels.astype(np.uint16) - np.uint16(low % (LARGEST + 1)), low


def _nearest(values: Values, dtype: np.dtype[Any], unit: str | None) -> ChannelStack:
    """On a grid if there is one, else rounded: whichever comes back nearer."""
    low, high = float(values.min()), float(values.max())
    step = (high - low) / LARGEST or 1.0
    # A way back may be tried that leaves the range of its type: it is the worst, no more.
    with np.errstate(over="ignore", invalid="ignore"):
        found = grid_of(values, dtype)
    if found is not None and found.error <= step / 2:
        rescale, error, step = found.rescale, found.error, found.step
    else:
        rescale, error = Rescale(0, step, low), None
    rescale = Rescale(rescale.offset, rescale.slope, rescale.intercept, unit)
    pixels = np.rint((values - low) / step).clip(0, LARGEST).astype(np.uint16)
    if error is None:
        differences = (rescale.values(p) - v for p, v in zip(pixels, values, strict=True))
        error = max(float(np.abs(one).max()) for one in differences)
    return ChannelStack(pixels, (rescale,), error)


def loss_of(channel: ChannelStack, path: Path, dtype: np.dtype[Any]) -> list[str]:
    """A line for the report where values do not come back as they were, else nothing.

    ``dtype``: of the file's values; what vanishes in its own rounding is no loss.
    """
    low, high = channel.rescale[0].values(np.array([channel.pixels.min(), channel.pixels.max()]))
    if channel.cut:
        many = "1 voxel lies" if channel.cut == 1 else f"{channel.cut} voxels lie"
        error = channel.largest_error
        return [
            f"{path}: {many} far outside of all others, which go from {low:.6g} to {high:.6g}, and "
            f"were cut off to these ends; all others come back "
            + (f"within {error:.3g}" if error else "exactly")
        ]
    if len(channel.rescale) > 1 or channel.largest_error == 0:
        return []
    rounding = np.finfo(dtype).eps if dtype.kind == "f" else 0.0
    if channel.largest_error <= rounding * max(abs(low), abs(high)):
        return []
    line = (
        f"{path}: its values, from {low:.6g} to {high:.6g}, take more than 16 bits: they were "
        f"rounded, and come back within {channel.largest_error:.3g}"
    )
    return [line]
