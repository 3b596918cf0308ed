"""One case read from files: a stack of slices, and the way back to the file it came from."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from app.core.errors import VolumeInvalid
from app.core.pixels import Pixels

Voxels = npt.NDArray[Any]


@dataclass(frozen=True)
class CaseVolume:
    """A case as a stack: image (D, H, W) uint8 or uint16, classes (D, H, W) uint8 or None."""

    image: Pixels
    classes: Pixels | None = None
    source: dict[str, Any] = field(default_factory=dict)


def read_nifti(image: Path, labels: Path | None = None, channel: int | None = None) -> CaseVolume:
    """A NIfTI volume with its label map, as axial slices in radiological view.

    Integers of up to 16 bits survive exactly; other values are mapped to 16 bits, with the
    mapping kept in ``source``. Raises ``VolumeInvalid`` for unreadable files, NaN, more than
    three dimensions (unless ``channel`` picks of the fourth), and labels of another shape.
    """
    voxels, source = _read(image, channel)
    stack = _axial(voxels)
    pixels, slope, intercept = to_unsigned(stack, image)
    source |= {"slope": slope, "intercept": intercept}
    classes = None
    if labels is not None:
        marks, _ = _read(labels, None)
        if marks.shape != voxels.shape:
            raise VolumeInvalid(
                f"{labels} has the shape {marks.shape}, its image {image} has {voxels.shape}"
            )
        classes = _as_classes(_axial(marks), labels)
    return CaseVolume(pixels, classes, source)


def _read(path: Path, channel: int | None) -> tuple[Voxels, dict[str, Any]]:
    try:
        loaded: Any = nib.load(path)
        source = {
            "file": path.name,
            "shape": [int(n) for n in loaded.shape],
            "affine": np.asarray(loaded.affine).tolist(),
        }
        # Integers that the header does not scale come as they are stored.
        voxels = np.asanyarray(loaded.dataobj)
    except FileNotFoundError as error:
        raise VolumeInvalid(f"{path} is not there") from error
    except (
        OSError,
        EOFError,
        ValueError,
        nib.filebasedimages.ImageFileError,
        zlib.error,
    ) as error:
        raise VolumeInvalid(f"{path} is not a readable NIfTI file: {error}") from error
    voxels = _three_dimensional(voxels, path, channel)
    if not np.isfinite(voxels).all():
        bad = int((~np.isfinite(voxels)).sum())
        raise VolumeInvalid(f"{path} holds {bad} voxels that are NaN or infinite: mend the file")
    to_canonical = nib.orientations.io_orientation(loaded.affine)
    return nib.orientations.apply_orientation(voxels, to_canonical), source


def _three_dimensional(voxels: Voxels, path: Path, channel: int | None) -> Voxels:
    if voxels.ndim == 2:
        return voxels[:, :, np.newaxis]
    if voxels.ndim > 3 and all(n == 1 for n in voxels.shape[3:]):
        return voxels.reshape(voxels.shape[:3])
    if voxels.ndim == 4 and channel is not None:
        if not 0 <= channel < voxels.shape[3]:
            raise VolumeInvalid(
                f"{path} has the channels 0 to {voxels.shape[3] - 1}, not {channel}"
            )
        return voxels[..., channel]
    if voxels.ndim != 3:
        raise VolumeInvalid(
            f"{path} has the shape {voxels.shape}: pick one channel of the fourth dimension "
            "with --channel"
        )
    return voxels


def _axial(canonical: Voxels) -> Voxels:
    """(X, Y, Z) towards right, front and top, as (Z, H, W) seen from the feet, front up."""
    return np.ascontiguousarray(canonical[::-1, ::-1, :].transpose(2, 1, 0))


def to_unsigned(voxels: Voxels, path: Path) -> tuple[Pixels, float, float]:
    """Voxels as uint8 or uint16 with ``original = stored * slope + intercept``.

    Exact for integers that span no more than 16 bits. Raises ``VolumeInvalid`` for colour.
    """
    if voxels.dtype.kind not in "iufb":
        raise VolumeInvalid(f"{path} holds {voxels.dtype}: one grey value a voxel is expected")
    low, high = float(voxels.min()), float(voxels.max())
    # Many files store integers as floats; these are as exact as integers.
    integral = voxels.dtype.kind in "iub" or bool((voxels == np.rint(voxels)).all())
    if integral and low >= 0 and high <= 255:
        return voxels.astype(np.uint8), 1.0, 0.0
    if integral and low >= 0 and high <= 65535:
        return voxels.astype(np.uint16), 1.0, 0.0
    if integral and high - low <= 65535:
        return (voxels.astype(np.int64) - int(low)).astype(np.uint16), 1.0, low
    slope = (high - low) / 65535 or 1.0
    scaled = np.rint((voxels.astype(np.float64) - low) / slope)
    return scaled.clip(0, 65535).astype(np.uint16), slope, low


def _as_classes(marks: Voxels, path: Path) -> Pixels:
    if not (marks == np.rint(marks)).all() or marks.min() < 0 or marks.max() > 255:
        raise VolumeInvalid(
            f"{path} holds values from {marks.min()} to {marks.max()}: "
            "a label map has whole numbers from 0 to 255"
        )
    return marks.astype(np.uint8)


def to_file_orientation(stack: Voxels, source: dict[str, Any]) -> Voxels:
    """The way back: a (D, H, W) stack as voxels in the order of the file it came from."""
    canonical = stack.transpose(2, 1, 0)[::-1, ::-1, :]
    to_canonical = nib.orientations.io_orientation(np.array(source["affine"]))
    axes = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(("R", "A", "S")), to_canonical
    )
    voxels: Voxels = nib.orientations.apply_orientation(canonical, axes)
    return voxels
