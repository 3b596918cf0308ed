"""One NIfTI file: its header as it stands, where it lies, and the numbers that it stores."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry, of_reordered
from app.formats import axial

Voxels = npt.NDArray[Any]

# What places the voxels: kept as it stands, so that the file can be written with the same bits.
PLACE = (
    *("qform_code", "sform_code", "xyzt_units", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)


@dataclass(frozen=True)
class NiftiFile:
    """A file whose header has been read: its place and shape, and how many volumes it holds.

    ``stack_shape``: (D, H, W) of its axial slices; ``image``: nibabel's, voxels not read yet.
    """

    path: Path
    image: Any
    shape: tuple[int, ...]
    stack_shape: tuple[int, ...]
    volumes: int
    colour: bool
    axes: axial.Axes
    geometry: Geometry

    @property
    def source(self) -> dict[str, Any]:
        """What a writer needs to give the file back in its own order and place."""
        header = self.image.header
        place = {name: header[name].tolist() for name in PLACE}
        place["pixdim"] = header["pixdim"][:4].tolist()
        kept = {
            "kind": "nifti",
            "version": 2 if isinstance(self.image, nib.Nifti2Image) else 1,
            "file": self.path.name,
            "shape": list(self.shape),
            "affine": np.asarray(self.image.affine).tolist(),
            "axes": self.axes,
        }
        # What is no number cannot be kept as JSON, and nobody would miss it.
        finite = all(np.isfinite(value).all() for value in place.values())
        return kept | ({"place": place} if finite else {})


@dataclass(frozen=True)
class FileVoxels:
    """The numbers of a file, (I, J, K, volume), whose values are numbers · slope + intercept.

    ``dtype``: of the values, as nibabel gives them.
    """

    numbers: Voxels
    slope: float
    intercept: float
    dtype: np.dtype[Any]


def open_nifti(path: Path) -> NiftiFile:
    """Read a header. Raises ``VolumeInvalid``, naming the file, for what cannot be shown."""
    if not path.is_file():
        raise VolumeInvalid(f"{path} is not there")
    try:
        image: Any = nib.load(path)
        shape = tuple(int(n) for n in image.shape)
        affine = np.asarray(image.affine, dtype=np.float64)
        dtype = np.dtype(image.dataobj.dtype)
    except Exception as error:  # headers may be odd in ways that nibabel does not expect
        raise VolumeInvalid(f"{path} is not a readable NIfTI file: {error}") from error
    if not isinstance(image, nib.Nifti1Image):
        raise VolumeInvalid(f"{path} is not a NIfTI file, but {type(image).__name__}")
    colour = dtype.names is not None
    volumes = _volumes(shape, path, colour)
    try:
        Geometry(affine)
    except InvalidInput as error:
        raise VolumeInvalid(f"{path} has a wrong header, {error}: fix the file") from error
    axes = axial.axes_of(affine)
    size = (*shape, 1)[:3]
    lengths = {axis: n for (axis, _), n in zip(axes, size, strict=True)}
    return NiftiFile(
        path=path,
        image=image,
        shape=shape,
        stack_shape=(lengths[2], lengths[1], lengths[0]),
        volumes=volumes,
        colour=colour,
        axes=axes,
        geometry=of_reordered(affine, axial.order(axes, size)),
    )


def read_voxels(file: NiftiFile) -> FileVoxels:
    """The numbers as they are stored. Raises ``VolumeInvalid`` for NaN and damaged files."""
    proxy = file.image.dataobj
    try:
        raw = np.asanyarray(proxy.get_unscaled())
        slope, intercept = float(proxy.slope), float(proxy.inter)
        if raw.dtype.kind == "f":
            # What is stored as a float is scaled as nibabel does it, in whatever type that is.
            raw, slope, intercept = np.asanyarray(proxy), 1.0, 0.0
    except Exception as error:  # a damaged archive raises whatever its library likes
        raise VolumeInvalid(f"{file.path} is not a readable NIfTI file: {error}") from error
    if raw.dtype.names is not None:
        raw = _colours(raw, file.path)
    bad = int((~np.isfinite(raw)).sum()) if raw.dtype.kind == "f" else 0
    if bad:
        raise VolumeInvalid(
            f"{file.path} holds {bad} voxels that are NaN or infinite: fix the file"
        )
    size = (*file.shape, 1)[:3]
    plain = (slope, intercept) == (1.0, 0.0)
    dtype = raw.dtype if plain else np.dtype(np.float64)
    return FileVoxels(raw.reshape((*size, file.volumes)), slope, intercept, dtype)


def scaled(numbers: Voxels, voxels: FileVoxels) -> Voxels:
    """The values of some of a file's numbers, as nibabel computes them."""
    values: Voxels = nib.volumeutils.apply_read_scaling(
        numbers, np.float64(voxels.slope), np.float64(voxels.intercept)
    )
    return values


def _volumes(shape: tuple[int, ...], path: Path, colour: bool) -> int:
    """How many volumes: of a fourth dimension, or the three colours."""
    further = [n for n in shape[3:] if n != 1]
    if len(shape) < 2 or len(further) > 1 or (further and colour):
        raise VolumeInvalid(
            f"{path} has the shape {shape}: two or three dimensions are expected, and at most "
            "one more for channels"
        )
    if 0 in shape:
        raise VolumeInvalid(f"{path} has the shape {shape}: it holds no voxels")
    return 3 if colour else (further or [1])[0]


def _colours(raw: Voxels, path: Path) -> Voxels:
    names = raw.dtype.names or ()
    if "A" in names and int(raw["A"].min()) < 255:
        raise VolumeInvalid(f"{path} has transparent voxels: write it as RGB without alpha")
    return np.stack([raw[name] for name in ("R", "G", "B")], axis=-1)
