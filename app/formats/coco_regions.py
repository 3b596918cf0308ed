"""Regions of COCO annotations as pixels: run lengths and polygons, checked before they are drawn.

pycocotools draws whatever it is given: run lengths that do not fill the picture leave memory as
it was, and far corners of polygons take as much as they like.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

Region = npt.NDArray[np.bool_]

# Corners may lie so many sizes of the picture outside of it.
_OUTSIDE = 1.0


def region_of(segmentation: Any, height: int, width: int) -> Region:
    """The pixels (H, W) of a segmentation. Raises ``ValueError`` in words for what is none."""
    if isinstance(segmentation, dict):
        return _run_lengths(segmentation, height, width)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("it has neither polygons nor run lengths")
    polygons = [_corners(one, height, width) for one in segmentation]
    found = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    region: Region = coco_mask.decode(found).astype(bool)
    return region


def _corners(polygon: Any, height: int, width: int) -> list[float]:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        raise ValueError("a polygon is x and y of at least three corners")
    corners = np.array([float(number) for number in polygon]).reshape(-1, 2)
    size = np.array([width, height])
    if not (
        np.isfinite(corners).all()
        and (corners >= -_OUTSIDE * size).all()
        and (corners <= (1 + _OUTSIDE) * size).all()
    ):
        raise ValueError("its polygon lies far outside of the picture")
    return [float(number) for number in corners.reshape(-1)]


def _run_lengths(found: dict[str, Any], height: int, width: int) -> Region:
    size = found.get("size")
    if size != [height, width]:
        raise ValueError(f"its run lengths are of {size}, the picture has {[height, width]}")
    written = found.get("counts")
    counts = _unpacked(written) if isinstance(written, str) else _whole(written)
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise ValueError(
            f"its run lengths have {sum(counts)} pixels, the picture has {height * width}"
        )
    values = np.arange(len(counts)) % 2 == 1
    # Run lengths go down the columns, and begin with those of nothing.
    return np.repeat(values, counts).reshape((height, width), order="F")


def _whole(written: Any) -> Sequence[int]:
    if not isinstance(written, list) or not all(isinstance(n, int) for n in written):
        raise ValueError("its run lengths are no list of whole numbers")
    return written


def _unpacked(text: str) -> list[int]:
    """Run lengths from COCO's text: five bits a character, from the third on as differences."""
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("its run lengths are no text of COCO")
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    if shift:
        raise ValueError("its run lengths are cut off")
    return counts
