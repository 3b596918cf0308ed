"""One file that holds a volume, whatever its format: its place, and the numbers that it stores."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from app.core.errors import VolumeInvalid
from app.core.geometry import Geometry, Plane, of_reordered
from app.formats import planes

Voxels = npt.NDArray[Any]

# More bytes of voxels than this are not read at once.
MOST_BYTES = 2**31
# No byte of a deflate stream stands for more than this many.
MOST_INFLATED = 1032


@dataclass(frozen=True)
class FileVoxels:
    """The numbers of a file, (I, J, K, volume), whose values are numbers · slope + intercept.

    ``dtype``: of the values, as an independent reader gives them.
    """

    numbers: Voxels
    slope: float
    intercept: float
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class VolumeFile:
    """A file whose header has been read.

    ``shape``: as the file has it; ``volumes``: how many it holds, the three colours counted apart;
    ``affine``: (4, 4) from its (i, j, k) to RAS in mm; ``kept``: what a writer needs to give it
    back as it came; ``load``: reads the numbers, raises ``VolumeInvalid``.
    """

    path: Path
    shape: tuple[int, ...]
    volumes: int
    colour: bool
    affine: planes.Affine
    load: Callable[[], FileVoxels]
    kept: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int, int]:
        """(I, J, K)."""
        first, second, third = (*self.shape, 1)[:3]
        return first, second, third

    @cached_property
    def axes(self) -> planes.Axes:
        """Which axis of space each of its axes follows."""
        return planes.axes_of(self.affine)

    @property
    def plane(self) -> Plane:
        """The plane that it was acquired in."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return planes.acquired(self.axes, self.size, lengths)

    def geometry(self, plane: Plane) -> Geometry:
        """The place of its stack of slices in that plane."""
        return of_reordered(self.affine, planes.order(self.axes, self.size, plane))

    def stack_shape(self, plane: Plane) -> tuple[int, int, int]:
        """(D, H, W) of its slices in that plane."""
        return planes.stack_shape(self.axes, self.size, plane)

    def source(self, plane: Plane) -> dict[str, Any]:
        """What leads from slices in that plane back to the file; its name, which may be a
        patient's, does not.
        """
        return self.kept | {
            "shape": list(self.shape),
            "axes": self.axes,
            "plane": plane,
        }


def scaled(numbers: Voxels, voxels: FileVoxels) -> Voxels:
    """The values of some of a file's numbers, as nibabel computes them."""
    values: Voxels = nib.volumeutils.apply_read_scaling(
        numbers, np.float64(voxels.slope), np.float64(voxels.intercept)
    )
    return values


def volumes_of(shape: tuple[int, ...], path: Path, colour: bool) -> int:
    """How many volumes a shape holds: of a fourth dimension, or the three colours.

    Raises ``VolumeInvalid`` for what is no volume.
    """
    if not shape or min(shape) < 1:
        raise VolumeInvalid(f"{path} has the shape {shape}: it holds no voxels, fix the file")
    further = [n for n in shape[3:] if n != 1]
    if len(shape) < 2 or len(further) > 1 or (further and colour):
        raise VolumeInvalid(
            f"{path} has the shape {shape}: two or three dimensions are expected, and at most "
            "one more for channels; write each volume into a file of its own"
        )
    return 3 if colour else (further or [1])[0]


def check_bytes(path: Path, needed: int, there: int, compressed: bool) -> None:
    """Raise ``VolumeInvalid`` where a header promises more bytes of voxels than there can be.

    Nothing has been set aside for them yet: a header may say anything. ``there``: bytes on disk.
    """
    most = there * MOST_INFLATED if compressed else there
    if needed > most:
        raise VolumeInvalid(
            f"{path} is cut off, or its header is wrong: it promises {needed} bytes of voxels, "
            f"and there are {'at most ' if compressed else ''}{max(most, 0)}; copy the file again"
        )
    if needed > MOST_BYTES:
        raise VolumeInvalid(
            f"{path} holds {needed} bytes of voxels, at most {MOST_BYTES} are read at once: cut "
            "it into parts"
        )


def checked_numbers(raw: Voxels, path: Path) -> Voxels:
    """Numbers that can be kept, as they are. Raises ``VolumeInvalid`` for NaN and the like."""
    if raw.dtype.kind not in "iufb":
        raise VolumeInvalid(f"{path} holds {raw.dtype}: one grey value a voxel is expected")
    if raw.dtype.kind != "f":
        return raw
    bad = raw.size - int(np.count_nonzero(np.isfinite(raw)))
    if bad:
        raise VolumeInvalid(
            f"{path} holds {bad} voxels that are NaN or infinite: write numbers in their places, "
            "such as that of the background"
        )
    if raw.dtype.itemsize <= 8:
        return raw
    with np.errstate(over="ignore"):
        double = raw.astype(np.float64)
    if not np.array_equal(double, raw):
        raise VolumeInvalid(
            f"{path} holds numbers of {8 * raw.dtype.itemsize} bits, which double precision does "
            "not hold: convert it to float64"
        )
    return double
