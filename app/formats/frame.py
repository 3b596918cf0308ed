"""The grid that a case is written in: that of the file it came from, or that of its slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.errors import VolumeInvalid
from app.core.geometry import Affine, Geometry
from app.formats import planes

# Where a case whose place is unknown is put: one millimetre a pixel, shown as it was drawn.
_NOWHERE = np.diag([-1.0, -1.0, 1.0, 1.0])
# How far from whole numbers the way between two affines may be by rounding.
_ROUNDED = 1e-2
# A volume with so many places a slice may have so many voxels.
_SPARSE, _LARGEST_SPARSE = 4, 2**28
# How far axes may be from right angles for readers that know nothing else.
_SQUARE = 1e-4


@dataclass(frozen=True)
class Frame:
    """Where each voxel of a stack (D, H, W) goes in a file of ``shape`` (I, J, K).

    ``axes``: the file's axis that columns, rows and slices follow; ``flips``: whether backwards.
    ``first``: the index in the case of the first place of the stack; ``affine``: (4, 4) of the
    file, RAS in mm. ``own``: the grid is that of the file which the case came from; ``placed``:
    it is another, and its place in space is known.
    """

    shape: tuple[int, int, int]
    affine: Affine
    axes: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)
    first: int = 0
    own: bool = False
    placed: bool = False

    @property
    def sheared(self) -> bool:
        """Whether its axes are not at right angles, as with a tilted gantry."""
        steps = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        return not np.allclose(steps.T @ steps, np.eye(3), atol=_SQUARE)

    @property
    def upright(self) -> Affine:
        """The affine of a sheared grid for programs that take none: its slices one above the
        other, as SimpleITK reads a series with a tilt.
        """
        affine = self.affine.copy()
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        step = affine[:3, 2]
        length = np.copysign(np.linalg.norm(step), step @ normal)
        affine[:3, 2] = length * normal / np.linalg.norm(normal)
        return affine

    @property
    def depth(self) -> int:
        """How many places for slices it has."""
        return self.shape[self.axes[2]]

    def stack(self, voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The view (D, H, W, …) of a file's voxels (I, J, K, …): what is put in lands in place."""
        columns, rows, slices = self.axes
        further = range(3, voxels.ndim)
        view = voxels.transpose(slices, rows, columns, *further)
        steps = [slice(None, None, -1 if flip else 1) for flip in self.flips[::-1]]
        return view[tuple(steps)]

    def index(self, place: int) -> int:
        """The index along the file's axis of slices of a place in the stack."""
        return self.depth - 1 - place if self.flips[2] else place


def frame_of(
    geometry: Geometry | None,
    source: dict[str, Any],
    indices: Sequence[int],
    size: tuple[int, int],
) -> Frame:
    """The grid for a case whose slices of ``size`` (H, W) have these rising indices.

    Raises ``VolumeInvalid`` for slices so far apart that no volume can hold them.
    """
    own = _own_frame(geometry, source)
    if own is not None and _holds(own, indices, size):
        return own
    first, last = indices[0], indices[-1]
    places = last - first + 1
    if places > _SPARSE * len(indices) and places * size[0] * size[1] > _LARGEST_SPARSE:
        raise VolumeInvalid(
            f"its {len(indices)} slices are spread over {places} places, so that its volume would "
            "be nearly empty and too large: export it as png or coco"
        )
    affine = _NOWHERE if geometry is None else geometry.affine.copy()
    if geometry is not None:
        affine[:3, 3] = geometry.position(0, 0, first)
    shape = (size[1], size[0], last - first + 1)
    return Frame(shape, affine, first=first, placed=geometry is not None)


def _holds(frame: Frame, indices: Sequence[int], size: tuple[int, int]) -> bool:
    height, width = frame.shape[frame.axes[1]], frame.shape[frame.axes[0]]
    return (height, width) == size and 0 <= indices[0] <= indices[-1] < frame.depth


def _own_frame(geometry: Geometry | None, source: dict[str, Any]) -> Frame | None:
    """The grid of the NIfTI file that a case came from; None where that is not known."""
    if "affine" not in source or "shape" not in source:
        return None
    affine: Affine = np.array(source["affine"], dtype=np.float64)
    sizes = [int(n) for n in (*source["shape"], 1, 1)[:3]]
    shape = (sizes[0], sizes[1], sizes[2])
    if geometry is None:
        order = planes.order(
            source.get("axes") or planes.axes_of(affine), shape, source.get("plane", "axial")
        )
    else:
        # The two affines say how the slices lie in the file, whatever plane they are cut in.
        order = np.linalg.inv(affine) @ geometry.affine
    turns = np.rint(order[:3, :3])
    if not np.allclose(order[:3, :3], turns, atol=_ROUNDED) or not _is_permutation(turns):
        return None
    along = [int(np.abs(turns[:, axis]).argmax()) for axis in range(3)]
    back = [bool(turns[file_axis, axis] < 0) for axis, file_axis in enumerate(along)]
    begins = [order[file_axis, 3] for file_axis in along]
    expected = [shape[f] - 1 if flip else 0 for f, flip in zip(along, back, strict=True)]
    if not np.allclose(begins, expected, atol=0.1):
        return None
    return Frame(
        shape,
        affine,
        (along[0], along[1], along[2]),
        (back[0], back[1], back[2]),
        own=True,
    )


def _is_permutation(turns: Affine) -> bool:
    steps = np.abs(turns)
    return bool((steps.sum(axis=0) == 1).all() and (steps.sum(axis=1) == 1).all())
