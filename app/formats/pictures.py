"""One picture of a case: grey, coloured, or class indices."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from app.core.errors import SfumatoError, VolumeInvalid
from app.core.pixels import Pixels, decode_upload
from app.formats.channels import Choice, colour_refused, grey_refused

_LARGEST = 2**30
# Modes of Pillow that show colours, the last by a table.
_COLOURED = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX")
_BITS_PER_SAMPLE = 258


def read_picture(path: Path, choice: Choice) -> Pixels:
    """A picture as (H, W, channels), one for grey and three for colour, as ``choice`` says.

    Raises ``VolumeInvalid``, naming the file, for the other kind and for what cannot be kept.
    """
    body = _bytes(path)
    mode, deep = _kind(body, path)
    if mode not in _COLOURED:
        if choice.colour:
            raise grey_refused(path)
        return _grey(body, path)[..., np.newaxis]
    if not choice.colour:
        raise colour_refused(path)
    if deep:
        raise VolumeInvalid(
            f"{path} has 16 bits a colour, which cannot be read exactly: "
            "write one grey file a channel, or 8 bits a colour"
        )
    return _colours(body, path)[..., list(choice.numbers)]


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


def _kind(body: bytes, path: Path) -> tuple[str, bool]:
    """Pillow's mode, and whether there are more than 8 bits a colour, which Pillow would cut."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(body), formats=("PNG", "TIFF")) as image:
                if image.width * image.height > _LARGEST:
                    raise VolumeInvalid(f"{path} is {image.width} × {image.height} pixels")
                if image.format == "PNG":
                    # The byte after width and height in the first chunk.
                    return image.mode, body[24] > 8
                bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
                return image.mode, max(bits) > 8
    except VolumeInvalid:
        raise
    except Exception as error:  # damaged files make Pillow raise whatever it likes
        raise VolumeInvalid(f"{path} is not a whole PNG or TIFF image: {error}") from error


def _grey(body: bytes, path: Path) -> Pixels:
    try:
        return decode_upload(body, _LARGEST)
    except SfumatoError as error:
        raise VolumeInvalid(f"{path}: {error}") from error


def _colours(body: bytes, path: Path) -> Pixels:
    """(H, W, 3) of RGB pictures, and of palettes by their table."""
    try:
        with Image.open(io.BytesIO(body), formats=("PNG", "TIFF")) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise VolumeInvalid(f"{path} has several pages: write one file a slice")
            if image.mode not in ("RGB", "RGBA", "P"):
                raise VolumeInvalid(f"{path} is of the kind {image.mode}: write it as RGB")
            pixels = np.asarray(image.convert("RGBA"))
    except VolumeInvalid:
        raise
    except Exception as error:  # damaged files make Pillow raise whatever it likes
        raise VolumeInvalid(f"{path} is not a whole PNG or TIFF image: {error}") from error
    if pixels[..., 3].min() < 255:
        raise VolumeInvalid(f"{path} has transparent pixels: write it without transparency")
    return pixels[..., :3]
