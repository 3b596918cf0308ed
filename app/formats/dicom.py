"""A DICOM series as a case. Only pixels and geometry are taken: no patient data is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from app.core.errors import VolumeInvalid
from app.formats.volumes import CaseVolume, to_unsigned


def read_series(folder: Path) -> CaseVolume:
    """The single-frame images of a folder, in order along their normal.

    Stored values are kept; the rescaling to physical units goes into ``source``. Raises
    ``VolumeInvalid`` for colour, several sizes, several series, or no images at all.
    """
    frames = [_read(path) for path in sorted(folder.iterdir()) if path.is_file()]
    images = [frame for frame in frames if frame is not None]
    if not images:
        raise VolumeInvalid(f"{folder} holds no DICOM images")
    if len({str(image.SeriesInstanceUID) for image in images}) > 1:
        raise VolumeInvalid(f"{folder} holds several series: put each into a folder of its own")
    images.sort(key=_position)
    try:
        arrays = [image.pixel_array for image in images]
    except Exception as error:  # decoders of compressed syntaxes raise whatever they like
        raise VolumeInvalid(f"the pixels of {folder} cannot be decoded: {error}") from error
    if any(array.ndim != 2 for array in arrays) or len({a.shape for a in arrays}) > 1:
        raise VolumeInvalid(f"{folder} must hold grey, single-frame images of one size")
    pixels, slope, intercept = to_unsigned(np.stack(arrays), folder)
    first = images[0]
    rescale_slope = float(first.get("RescaleSlope", 1))
    rescale_intercept = float(first.get("RescaleIntercept", 0))
    return CaseVolume(
        pixels,
        None,
        {
            "file": folder.name,
            "slope": slope * rescale_slope,
            "intercept": intercept * rescale_slope + rescale_intercept,
            "pixel_spacing": [float(v) for v in first.get("PixelSpacing", [])],
            "orientation": [float(v) for v in first.get("ImageOrientationPatient", [])],
            "position": [float(v) for v in first.get("ImagePositionPatient", [])],
        },
    )


def _read(path: Path) -> Any | None:
    try:
        dataset = pydicom.dcmread(path)
    except (InvalidDicomError, OSError):
        return None
    return dataset if "PixelData" in dataset else None


def _position(image: Any) -> tuple[float, int]:
    """Place along the normal of the slices; the instance number where geometry is missing."""
    number = int(image.get("InstanceNumber") or 0)
    if "ImageOrientationPatient" not in image or "ImagePositionPatient" not in image:
        return 0.0, number
    row, column = np.array(image.ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(row, column)
    return float(normal @ np.array(image.ImagePositionPatient, dtype=float)), number
