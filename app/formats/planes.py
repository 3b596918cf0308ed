"""Voxels in any order of axes as slices of one plane in radiological view, and back.

A stack is (D, H, W): slices, rows, columns. Its slices look as DICOM viewers show a series that
was acquired in that plane, and follow each other along the normal of their rows and columns:

- axial: from feet to head; rows from front to back, columns from the patient's right to the left;
- coronal: from front to back; rows from head to foot, columns from right to left;
- sagittal: from left to right; rows from head to foot, columns from front to back.
"""

from collections.abc import Sequence
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from app.core.geometry import Plane

Voxels = npt.NDArray[Any]
Affine = npt.NDArray[np.float64]
# Which axis of space each axis of the file follows, and in which direction.
Axes = list[list[int]]

# For slices, rows and columns: the axis of RAS space, and the direction that they follow.
_VIEWS: dict[Plane, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "axial": ((2, 1), (1, -1), (0, -1)),
    "coronal": ((1, -1), (2, -1), (0, -1)),
    "sagittal": ((0, 1), (2, -1), (1, -1)),
}
# The plane whose normal is that axis of space.
_BY_NORMAL: tuple[Plane, ...] = ("sagittal", "coronal", "axial")
# Spacings that differ by less than this part are equal: nobody chose a plane by them.
_EQUAL = 0.02


def axes_of(affine: Affine) -> Axes:
    """For each axis of the file: the axis of RAS space nearest to it, and 1 or −1.

    ``affine``: (4, 4), not singular.
    """
    return [[int(axis), int(flip)] for axis, flip in nib.orientations.io_orientation(affine)]


def acquired(axes: Axes, shape: Sequence[int], spacing: Sequence[float]) -> Plane:
    """The plane that a volume was acquired in: the one with the finest pixels.

    ``shape``, ``spacing``: (3,) along the axes of the file. A single picture lies in its own
    plane. Where no distance is the largest alone, nothing was chosen: axial, as most expect it.
    """
    single = [axes[n][0] for n in range(3) if shape[n] == 1]
    if len(single) == 1:
        return _BY_NORMAL[single[0]]
    *_, second, largest = sorted(spacing)
    if len(single) > 1 or largest <= second * (1 + _EQUAL):
        return "axial"
    return _BY_NORMAL[axes[list(spacing).index(largest)][0]]


def to_stack(voxels: Voxels, axes: Axes, plane: Plane = "axial") -> Voxels:
    """(I, J, K) in the order of the file as (D, H, W)."""
    canonical = nib.orientations.apply_orientation(voxels, axes)
    turned = canonical.transpose([axis for axis, _ in _VIEWS[plane]])
    return np.ascontiguousarray(turned[_flips(plane)])


def stack_shape(axes: Axes, shape: Sequence[int], plane: Plane) -> tuple[int, int, int]:
    """(D, H, W) of a file of ``shape`` (3,)."""
    lengths = {axis: n for (axis, _), n in zip(axes, shape, strict=True)}
    depth, height, width = (lengths[axis] for axis, _ in _VIEWS[plane])
    return depth, height, width


def order(axes: Axes, shape: Sequence[int], plane: Plane = "axial") -> Affine:
    """(4, 4) from (column, row, slice, 1) to the file's (i, j, k, 1); ``shape`` is the file's."""
    canonical: Affine = nib.orientations.inv_ornt_aff(axes, tuple(shape))
    turned = np.zeros((4, 4))
    turned[3, 3] = 1.0
    lengths = stack_shape(axes, shape, plane)
    for n, ((axis, sign), length) in enumerate(zip(_VIEWS[plane], lengths, strict=True)):
        # Slices, rows and columns are the third, second and first of a position.
        turned[axis, 2 - n] = sign
        turned[axis, 3] = length - 1 if sign < 0 else 0
    return canonical @ turned


def _flips(plane: Plane) -> tuple[slice, ...]:
    return tuple(slice(None, None, sign) for _, sign in _VIEWS[plane])
