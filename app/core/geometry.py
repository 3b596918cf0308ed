"""Where a case lies: one affine from voxel indices of its stored stack to space.

Indices are (column, row, slice), where the slice is its index in the case. Space is RAS+ in
millimetres, as NIfTI has it: x grows to the patient's right, y to the front, z to the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from app.core.errors import InvalidInput

Affine = npt.NDArray[np.float64]
Plane = Literal["axial", "coronal", "sagittal"]

# The letters of the ends of each axis of space: negative, positive.
_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
# The plane whose normal is that axis.
_PLANES: tuple[Plane, ...] = ("sagittal", "coronal", "axial")
# From DICOM's patient coordinates (left, back, head) to RAS.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Edges:
    """The direction of the body that each edge of a picture shows: R, L, A, P, S or I."""

    left: str
    right: str
    top: str
    bottom: str


@dataclass(frozen=True)
class Spacing:
    """Millimetres from one row, column and slice to the next."""

    row: float
    column: float
    slice: float


@dataclass(frozen=True)
class Geometry:
    """The affine (4, 4) of a stack, and what follows from it."""

    affine: Affine

    def __post_init__(self) -> None:
        """Raise ``InvalidInput`` for what places no voxel."""
        affine = self.affine
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise InvalidInput("an affine has 4 × 4 finite numbers")
        volume = float(np.prod(np.linalg.norm(affine[:3, :3], axis=0)))
        if abs(np.linalg.det(affine[:3, :3])) <= 1e-9 * volume:
            raise InvalidInput("the affine is singular: it puts many voxels on one place")

    @classmethod
    def of_list(cls, rows: Sequence[Sequence[float]] | None) -> Self | None:
        """From how it is stored; None where nothing is known of a case's place."""
        return None if rows is None else cls(np.array(rows, dtype=np.float64))

    @classmethod
    def of_dicom(
        cls,
        position: Sequence[float],
        orientation: Sequence[float],
        spacing: Sequence[float],
        step: Sequence[float],
    ) -> Self:
        """From a slice's ImagePositionPatient, ImageOrientationPatient and PixelSpacing.

        ``step``: (3,) from this slice's position to the next one's, which holds a gantry's tilt.
        """
        along_row, along_column = np.array(orientation, dtype=np.float64).reshape(2, 3)
        affine = np.eye(4)
        # PixelSpacing is between rows first: moving along a row changes the column.
        affine[:3, 0] = along_row * float(spacing[1])
        affine[:3, 1] = along_column * float(spacing[0])
        affine[:3, 2] = np.array(step, dtype=np.float64)
        affine[:3, 3] = np.array(position, dtype=np.float64)
        return cls(_LPS_TO_RAS @ affine)

    def to_list(self) -> list[list[float]]:
        """As it is stored."""
        return [[float(v) for v in row] for row in self.affine]

    @property
    def spacing(self) -> Spacing:
        """The lengths of the affine's columns."""
        column, row, slice_ = np.linalg.norm(self.affine[:3, :3], axis=0)
        return Spacing(float(row), float(column), float(slice_))

    @property
    def plane(self) -> Plane:
        """The plane that slices are cut in; of an oblique one, the nearest."""
        column, row = self.affine[:3, 0], self.affine[:3, 1]
        return _PLANES[int(np.abs(np.cross(column, row)).argmax())]

    @property
    def edges(self) -> Edges:
        """What each edge of a picture shows; of an oblique one, the nearest direction."""
        left, right = _ends(self.affine[:3, 0])
        top, bottom = _ends(self.affine[:3, 1])
        return Edges(left, right, top, bottom)

    def position(self, column: float, row: float, slice_: float) -> npt.NDArray[np.float64]:
        """Where a voxel's centre lies, (3,) in mm."""
        place: npt.NDArray[np.float64] = (self.affine @ np.array([column, row, slice_, 1.0]))[:3]
        return place


def _ends(direction: npt.NDArray[np.float64]) -> tuple[str, str]:
    """The letters at the beginning and at the end of an axis of the picture."""
    axis = int(np.abs(direction).argmax())
    negative, positive = _LETTERS[axis]
    return (negative, positive) if direction[axis] > 0 else (positive, negative)


def of_reordered(affine: Any, order: Affine) -> Geometry:
    """The geometry of a stack whose index (column, row, slice, 1) ``order`` maps to the file's."""
    return Geometry(np.asarray(affine, dtype=np.float64) @ order)
