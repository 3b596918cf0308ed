"""One picture of a case: grey, coloured, or class indices."""

import io
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from app.core.errors import SfumatoError, VolumeInvalid
from app.core.pixels import Pixels, decode_picture, decode_upload
from app.formats.channels import Choice, colour_refused, grey_refused

# Endings in lower case; JPEG is only read for what annotations lie beside.
PICTURES = (".png", ".tif", ".tiff")
JPEG = (".jpg", ".jpeg")
_LARGEST = 2**26
# As long as an index may be: a case of more slices would fill any disk.
_LONGEST_INDEX = 6
_INDEX = re.compile(rf"[0-9]{{1,{_LONGEST_INDEX}}}")
# EXIF's tag for how a picture is to be turned, and its value for not at all.
_ORIENTATION, _UPRIGHT = 0x0112, 1


def index_of(name: str) -> int | None:
    """The index that a name gives: ASCII digits and nothing else, else None."""
    return int(name) if _INDEX.fullmatch(name) else None


def read_picture(path: Path, choice: Choice) -> Pixels:
    """A picture as (H, W, channels), one for grey and three for colour, as ``choice`` says.

    Raises ``VolumeInvalid``, naming the file, for the other kind and for what cannot be kept.
    """
    body = _bytes(path)
    try:
        if path.suffix.lower() in JPEG:
            planes = _jpeg(body, path)
        else:
            planes = decode_picture(body, _LARGEST)
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


def read_marks(path: Path, ignore: int | None = None) -> Pixels:
    """A mask as (H, W) class indices; a palette gives its indices. Raises ``VolumeInvalid``."""
    marks = _grey(_bytes(path), path)
    highest = marks[marks != ignore].max(initial=0) if ignore is not None else marks.max()
    if highest > 255:
        raise VolumeInvalid(f"{path} holds values up to {highest}: a class is at most 255")
    return marks


def _bytes(path: Path) -> bytes:
    try:
        body = path.read_bytes()
    except FileNotFoundError as error:
        raise VolumeInvalid(f"{path} is not there") from error
    except OSError as error:
        raise VolumeInvalid(f"{path} cannot be read: {error}") from error
    if not body:
        raise VolumeInvalid(f"{path} is empty: it has 0 bytes, copy the file again")
    return body


def _grey(body: bytes, path: Path) -> Pixels:
    try:
        return decode_upload(body, _LARGEST)
    except SfumatoError as error:
        raise VolumeInvalid(f"{path}: {error}") from error


def _jpeg(body: bytes, path: Path) -> list[Pixels]:
    """The planes of a JPEG: grey, or red, green and blue."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(body), formats=("JPEG",)) as image:
                if image.width * image.height > _LARGEST:
                    raise VolumeInvalid(f"{path} has {image.width} × {image.height} pixels")
                if image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
                    raise VolumeInvalid(
                        f"{path} is to be shown turned (its EXIF orientation): save it upright, "
                        "with its annotations"
                    )
                if image.mode not in ("L", "RGB"):
                    raise VolumeInvalid(f"{path} has colours of the kind {image.mode}: write RGB")
                pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError, TypeError) as error:
        raise VolumeInvalid(f"{path} is not a whole JPEG image: {error}") from error
    except Image.DecompressionBombError as error:
        raise VolumeInvalid(f"{path} is too large: {error}") from error
    return [pixels] if pixels.ndim == 2 else [pixels[..., n] for n in range(3)]
