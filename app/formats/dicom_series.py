"""A DICOM series as a case. Only pixels and geometry are taken: no patient data is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.errors import VolumeInvalid
from app.core.rescale import Rescale
from app.formats.case import CaseVolume, ChannelStack
from app.formats.channels import Choice
from app.formats.dicom_image import pixels_of, read_image
from app.formats.dicom_place import series_geometry
from app.formats.stored import loss_of, to_stored


def read_series(folder: Path, choice: Choice) -> CaseVolume:
    """The single-frame images of a folder, in order along their normal.

    Stored values are kept with the file's own rescaling. Raises ``VolumeInvalid`` for colour
    that ``choice`` does not ask for, several sizes, series or planes, uneven distances, or no
    images at all.
    """
    images = [image for path in sorted(folder.iterdir()) if (image := read_image(path))]
    if not images:
        raise VolumeInvalid(f"{folder} holds no DICOM images")
    if len({image.series for image in images}) > 1:
        raise VolumeInvalid(f"{folder} holds several series: put each into a folder of its own")
    geometry, images, uneven = series_geometry(images, folder)
    pixels = [pixels_of(image, choice) for image in images]
    if len({array.shape for array in pixels}) > 1:
        sizes = " and ".join(sorted({f"{a.shape[0]} × {a.shape[1]}" for a in pixels}))
        raise VolumeInvalid(f"{folder} holds images of {sizes} pixels: they must be of one size")
    if choice.colour:
        planes = np.stack(pixels)[..., list(choice.numbers)]
        channels = [to_stored(planes[..., n], folder) for n in range(planes.shape[-1])]
    else:
        channels = [_grey(np.stack(pixels), [image.rescale for image in images], folder)]
    losses = [line for c in channels for line in loss_of(c, folder, np.dtype(np.int64))]
    return CaseVolume(
        channels=tuple(channels),
        geometry=geometry,
        source={"kind": "dicom", "file": folder.name},
        warnings=(*uneven, *losses),
    )


def _grey(stack: npt.NDArray[Any], ways: list[Rescale], folder: Path) -> ChannelStack:
    """One channel, with a way back for each slice where they differ."""
    first = ways[0]
    if len(set(ways)) == 1:
        return to_stored(stack, folder, first.slope, first.intercept, first.unit)
    channel = to_stored(stack, folder)
    if channel.largest_error or channel.rescale[0].slope != 1:
        # More than 16 bits: no way back of a slice's own can be kept.
        values = np.stack([way.values(plane) for way, plane in zip(ways, stack, strict=True)])
        return to_stored(values, folder, unit=first.unit)
    offset = channel.rescale[0].offset
    own = tuple(Rescale(offset, way.slope, way.intercept, way.unit) for way in ways)
    return ChannelStack(channel.pixels, own)
