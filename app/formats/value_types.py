"""The type that a file's values go out in: its own where that holds them, else the smallest."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_INTEGERS: tuple[np.dtype[Any], ...] = tuple(np.dtype(t) for t in (np.int16, np.uint16, np.int32))
_SINGLE: np.dtype[Any] = np.dtype(np.float32)
_DOUBLE: np.dtype[Any] = np.dtype(np.float64)


@dataclass(frozen=True)
class ValueType:
    """A type, and the lowest of the values that it was chosen for."""

    dtype: np.dtype[Any]
    lowest: float


def type_for(planes: Iterable[npt.NDArray[Any]], source: dict[str, Any]) -> ValueType:
    """For planes of values, of whatever shape. ``source``: what is known of their file."""
    low, high = np.inf, -np.inf
    whole = single = True
    for plane in planes:
        low, high = min(low, float(plane.min())), max(high, float(plane.max()))
        whole = whole and (plane.dtype.kind in "iub" or bool((plane == np.rint(plane)).all()))
        single = single and bool((plane.astype(np.float32) == plane).all())
    return ValueType(_chosen(low, high, whole, single, source), low)


def _chosen(
    low: float, high: float, whole: bool, single: bool, source: dict[str, Any]
) -> np.dtype[Any]:
    own: np.dtype[Any] | None = np.dtype(source["dtype"]) if source.get("dtype") else None
    if own == _SINGLE and single:
        return _SINGLE
    if whole:
        kept = [own] if own is not None and own.kind in "iu" else []
        for one in (*kept, *_INTEGERS):
            if np.iinfo(one).min <= low and high <= np.iinfo(one).max:
                return one
    # What was rounded to 16 bits is no more exact in double precision; cases of before types
    # were kept say a slope instead.
    rounded = own == _SINGLE or "slope" in source
    return _SINGLE if single or rounded else _DOUBLE
