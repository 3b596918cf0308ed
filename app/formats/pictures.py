"""One picture of a case: grey, coloured, or class indices."""

from pathlib import Path

import numpy as np

from app.core.errors import SfumatoError, VolumeInvalid
from app.core.pixels import Pixels, decode_picture, decode_upload
from app.formats.channels import Choice, colour_refused, grey_refused

_LARGEST = 2**30


def read_picture(path: Path, choice: Choice) -> Pixels:
    """A picture as (H, W, channels), one for grey and three for colour, as ``choice`` says.

    Raises ``VolumeInvalid``, naming the file, for the other kind and for what cannot be kept.
    """
    try:
        planes = decode_picture(_bytes(path), _LARGEST)
    except SfumatoError as error:
        raise VolumeInvalid(f"{path}: {error}") from error
    if len(planes) == 1:
        if choice.colour:
            raise grey_refused(path)
        return planes[0][..., np.newaxis]
    if not choice.colour:
        raise colour_refused(path)
    colours = np.stack(planes, axis=-1).astype(np.uint8)
    return colours[..., list(choice.numbers)]


def read_marks(path: Path) -> Pixels:
    """A mask as (H, W) class indices; a palette gives its indices. Raises ``VolumeInvalid``."""
    marks = _grey(_bytes(path), path)
    if marks.max() > 255:
        raise VolumeInvalid(f"{path} holds values up to {marks.max()}: a class is at most 255")
    return marks


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise VolumeInvalid(f"{path} is not there") from error
    except OSError as error:
        raise VolumeInvalid(f"{path} cannot be read: {error}") from error


def _grey(body: bytes, path: Path) -> Pixels:
    try:
        return decode_upload(body, _LARGEST)
    except SfumatoError as error:
        raise VolumeInvalid(f"{path}: {error}") from error
