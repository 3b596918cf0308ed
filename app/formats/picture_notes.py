"""What an export of ours says of pictures: the way back to values, and where the case lies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.core.rescale import PLAIN, Rescale


def rescale_from(
    facts: Mapping[str, Any], channel: str, indices: Sequence[int], case: str
) -> tuple[Rescale, ...]:
    """One way for all slices, or one for each of ``indices``. Raises ``VolumeInvalid``."""
    try:
        found = (facts.get("rescale") or {}).get(channel)
        if found is None:
            return (PLAIN,)
        if "by_index" in found:
            return tuple(_way(found["by_index"][str(index)]) for index in indices)
        return (_way(found),)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise VolumeInvalid(
            f"sfumato.json has no way back to values for channel {channel!r} of {case!r}: {error!r}"
        ) from error


def geometry_from(facts: Mapping[str, Any], case: str) -> Geometry | None:
    """Where the case lies, where that is known. Raises ``VolumeInvalid``."""
    try:
        return Geometry.of_list(facts.get("affine"))
    except (InvalidInput, TypeError, ValueError) as error:
        raise VolumeInvalid(f"sfumato.json puts {case!r} in no place: {error}") from error


def _way(found: Mapping[str, Any]) -> Rescale:
    unit = found.get("unit")
    way = Rescale(
        int(found["offset"]),
        float(found["slope"]),
        float(found["intercept"]),
        "".join(c for c in str(unit or "") if c.isprintable())[:16] or None,
    )
    if abs(way.offset) > 2**31:
        raise ValueError(f"offset {way.offset}")
    if not (np.isfinite([way.slope, way.intercept]).all() and way.slope):
        raise ValueError(f"slope {way.slope:g}, intercept {way.intercept:g}")
    return way
