"""Voxels in any order of axes as axial slices in radiological view, and back.

A stack is (D, H, W): slices from feet to head, rows from front to back, columns from the
patient's right to the left, as one sees who looks up from the feet.
"""

from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

Voxels = npt.NDArray[Any]
Affine = npt.NDArray[np.float64]
# Which axis of space each axis of the file follows, and in which direction.
Axes = list[list[int]]


def axes_of(affine: Affine) -> Axes:
    """For each axis of the file: the axis of RAS space nearest to it, and 1 or −1.

    ``affine``: (4, 4), not singular.
    """
    return [[int(axis), int(flip)] for axis, flip in nib.orientations.io_orientation(affine)]


def to_stack(voxels: Voxels, axes: Axes) -> Voxels:
    """(I, J, K) in the order of the file as (D, H, W)."""
    canonical = nib.orientations.apply_orientation(voxels, axes)
    return np.ascontiguousarray(canonical[::-1, ::-1, :].transpose(2, 1, 0))


def to_file(stack: Voxels, axes: Axes) -> Voxels:
    """The way back: (D, H, W) as (I, J, K) in the order of the file."""
    canonical = stack.transpose(2, 1, 0)[::-1, ::-1, :]
    back = nib.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], axes)
    voxels: Voxels = nib.orientations.apply_orientation(canonical, back)
    return voxels


def order(axes: Axes, shape: tuple[int, ...]) -> Affine:
    """(4, 4) from (column, row, slice, 1) to the file's (i, j, k, 1); ``shape`` is the file's."""
    canonical = nib.orientations.inv_ornt_aff(axes, shape[:3])
    sizes = dict(zip((axis for axis, _ in axes), shape, strict=False))
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    turned[:2, 3] = sizes[0] - 1, sizes[1] - 1
    matrix: Affine = canonical @ turned
    return matrix
