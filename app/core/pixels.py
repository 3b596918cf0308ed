"""PNG in and out: images of 8 or 16 bits, masks of class indices. Nothing is lost on the way."""

import io
import warnings
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.core.errors import BodyTooManyPixels, ImageNotGreyscale, ImageUnreadable

# What Pillow calls one grey channel: 1, 8, 16 (either order) and 32 bits, and palette indices.
_INTEGER_MODES = {"1", "L", "P", "I;16", "I;16B", "I;16L", "I"}
_FORMATS = ("PNG", "TIFF")
# The last chunk of every whole PNG; decoders forgive its loss, but then more may be lost.
_PNG_END = b"IEND\xaeB`\x82"

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class EncodedImage:
    """A greyscale picture as stored, with what queries ask of it."""

    png: bytes
    sha256: str
    height: int
    width: int
    bits: int
    mean: float
    mean_square: float


def digest(body: bytes) -> str:
    """The sha256 of some bytes, in hexadecimal."""
    return sha256(body).hexdigest()


def encode(pixels: Pixels) -> bytes:
    """A greyscale PNG of uint8 or uint16 pixels, (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def encode_image(pixels: Pixels) -> EncodedImage:
    """Encode (H, W) uint8 or uint16 pixels and take their moments."""
    png = encode(pixels)
    values = pixels.astype(np.float64)
    return EncodedImage(
        png=png,
        sha256=digest(png),
        height=pixels.shape[0],
        width=pixels.shape[1],
        bits=pixels.dtype.itemsize * 8,
        mean=float(values.mean()),
        mean_square=float(np.square(values).mean()),
    )


def decode(png: bytes) -> Pixels:
    """The pixels of a PNG of ours: (H, W), uint8 or uint16."""
    with Image.open(io.BytesIO(png)) as image:
        return _as_unsigned(np.asarray(image))


def decode_upload(body: bytes, max_pixels: int) -> Pixels:
    """The pixels of a PNG or TIFF that came from outside: (H, W), uint8 or uint16.

    Palette images give their indices. Raises ``ImageUnreadable`` for anything that is not a
    whole PNG or TIFF, ``BodyTooManyPixels`` before decoding one whose header promises more
    than ``max_pixels``, and ``ImageNotGreyscale`` for colour, floats or several pages.
    """
    try:
        # Pillow's own bomb warning is replaced by the limit below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(body), formats=_FORMATS) as image:
                pixels = _checked(image, max_pixels)
                if image.format == "PNG" and _PNG_END not in body:
                    raise EOFError("its end is missing")
                return pixels
    except Image.DecompressionBombError as error:
        raise BodyTooManyPixels(f"the image is far larger than {max_pixels} pixels") from error
    except (OSError, SyntaxError, ValueError, EOFError, TypeError) as error:
        raise ImageUnreadable(
            f"the body of {len(body)} bytes is not a whole PNG or TIFF image: {error}"
        ) from error


def _checked(image: Image.Image, max_pixels: int) -> Pixels:
    if image.width * image.height > max_pixels:
        raise BodyTooManyPixels(
            f"the image is {image.width} × {image.height} pixels, the limit is {max_pixels} in all"
        )
    if getattr(image, "n_frames", 1) > 1:
        raise ImageNotGreyscale("the image has several pages: send one slice at a time")
    if image.mode not in _INTEGER_MODES:
        raise ImageNotGreyscale(
            f"the image has mode {image.mode}: send one grey channel of 8 or 16 bits "
            "(floating-point volumes go through `sfumato import`, which keeps their mapping)"
        )
    return _as_unsigned(np.asarray(image))


def _as_unsigned(pixels: npt.NDArray[np.generic]) -> Pixels:
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8)
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8)
    if pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max:
        raise ImageNotGreyscale(
            f"the pixel values run from {pixels.min()} to {pixels.max()}: "
            "they must lie between 0 and 65535"
        )
    return pixels.astype(np.uint16)
