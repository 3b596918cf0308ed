"""One DICOM image: its header's place and rescaling, and its pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from app.core.errors import VolumeInvalid
from app.core.rescale import Rescale
from app.formats.channels import Choice, colour_refused, grey_refused

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Position (3,), orientation (6,) and spacing (2,) of an image in LPS millimetres.

    ``spacing``: None where the header does not say it: such images have an order, no more.
    ``thickness``: to the next slice, by the header; only a series of one image needs it.
    """

    position: Vector
    orientation: Vector
    spacing: Vector | None
    thickness: float

    @property
    def normal(self) -> Vector:
        """What slices are ordered along."""
        return np.cross(self.orientation[:3], self.orientation[3:])


@dataclass(frozen=True)
class SeriesImage:
    """One file of a series: where it lies, and the way from its pixels to values."""

    path: Path
    dataset: Any
    series: str
    place: Place | None
    number: int
    rescale: Rescale


def read_image(path: Path) -> SeriesImage | None:
    """A file's header; None for what is no DICOM image."""
    if not path.is_file():
        return None
    try:
        dataset = pydicom.dcmread(path)
    except (InvalidDicomError, OSError):
        return None
    except Exception as error:  # a damaged file raises whatever its elements lead to
        raise VolumeInvalid(f"{path} is not a readable DICOM file: {error}") from error
    if "PixelData" not in dataset:
        return None
    try:
        series = str(dataset.get("SeriesInstanceUID"))
        number = int(dataset.get("InstanceNumber") or 0)
        rescale = _rescale(dataset)
        place = _place(dataset)
    except Exception as error:  # elements are converted when they are asked for
        raise VolumeInvalid(f"the header of {path} cannot be understood: {error}") from error
    if not (np.isfinite([rescale.slope, rescale.intercept]).all() and rescale.slope):
        raise VolumeInvalid(
            f"{path} has the rescale slope {rescale.slope:g} and intercept "
            f"{rescale.intercept:g}, which give no values: fix the file"
        )
    return SeriesImage(path, dataset, series, place, number, rescale)


def _rescale(dataset: Any) -> Rescale:
    slope = 1.0 if dataset.get("RescaleSlope") is None else float(dataset.RescaleSlope)
    intercept = 0.0 if dataset.get("RescaleIntercept") is None else float(dataset.RescaleIntercept)
    # A CT that says another type, such as US, is not in Hounsfield units.
    default = "HU" if dataset.get("Modality") == "CT" else None
    unit = "HU" if (dataset.get("RescaleType") or default) == "HU" else None
    return Rescale(0, slope, intercept, unit)


def pixels_of(image: SeriesImage, choice: Choice) -> npt.NDArray[Any]:
    """(H, W) of a grey image, (H, W, 3) of a coloured one."""
    dataset = image.dataset
    try:
        array = pixel_array(dataset)
        palette = dataset.get("PhotometricInterpretation") == "PALETTE COLOR"
        if palette and choice.colour:
            array = apply_color_lut(array, dataset)
    except Exception as error:  # decoders of compressed syntaxes raise whatever they like
        raise VolumeInvalid(f"the pixels of {image.path} cannot be decoded: {error}") from error
    coloured = palette or dataset.get("SamplesPerPixel", 1) == 3
    if coloured and not choice.colour:
        raise colour_refused(image.path)
    if not coloured and choice.colour:
        raise grey_refused(image.path)
    if array.ndim != (3 if coloured else 2):
        raise VolumeInvalid(
            f"{image.path} holds several frames: write each into a file of its own, or convert "
            "the series to NIfTI"
        )
    return array[..., :3] if coloured else array


def _place(dataset: Any) -> Place | None:
    """A header's place; None where it does not say. Raises ``ValueError`` for what is no number."""
    position = _numbers(dataset, "ImagePositionPatient", 3)
    orientation = _numbers(dataset, "ImageOrientationPatient", 6)
    if position is None or orientation is None:
        return None
    thickness = dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness") or 1.0
    spacing = _numbers(dataset, "PixelSpacing", 2)
    return Place(position, orientation, spacing, abs(float(thickness)))


def _numbers(dataset: Any, name: str, count: int) -> Vector | None:
    written = dataset.get(name)
    if written is None or written == "" or not len(written):
        return None
    numbers = np.array(written, dtype=np.float64)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(f"{name} has {count} numbers, not {written}")
    return numbers
