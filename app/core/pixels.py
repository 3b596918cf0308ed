"""PNG in and out: images of 8 or 16 bits, masks of class indices. Nothing is lost on the way."""

import io
import warnings
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from app.core.errors import BodyTooManyPixels, ImageNotGreyscale, ImageUnreadable

# What Pillow calls one grey channel: 1, 8, 16 (either order) and 32 bits, and palette indices.
_INTEGER_MODES = {"1", "L", "P", "I;16", "I;16B", "I;16L", "I"}
# What Pillow calls colours, the last by a table; and TIFF's tag for the bits of each.
_COLOURED = {"RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"}
_BITS_PER_SAMPLE = 258
_FORMATS = ("PNG", "TIFF")
# The last chunk of every whole PNG; decoders forgive its loss, but then more may be lost.
_PNG_END = b"IEND\xaeB`\x82"

T = TypeVar("T")
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def encode(pixels: Pixels) -> bytes:
    """A greyscale PNG of uint8 or uint16 pixels, (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def decode(png: bytes) -> Pixels:
    """The pixels of a PNG of ours: (H, W), uint8 or uint16."""
    with Image.open(io.BytesIO(png)) as image:
        return _as_unsigned(np.asarray(image))


def decode_upload(body: bytes, max_pixels: int) -> Pixels:
    """The numbers of a PNG or TIFF that came from outside: (H, W), uint8 or uint16.

    Palette images give their indices: masks are read as numbers, never as colours. Raises
    ``ImageUnreadable`` for anything that is not a whole PNG or TIFF, ``BodyTooManyPixels`` before
    decoding one whose header promises more than ``max_pixels``, and ``ImageNotGreyscale`` for
    colour, floats or several pages.
    """
    return _decoded(body, max_pixels, _greys)


def decode_picture(body: bytes, max_pixels: int) -> list[Pixels]:
    """What a PNG or TIFF from outside shows: one plane (H, W) of grey, or red, green and blue.

    Raises what ``decode_upload`` raises; the colours of a palette are looked up.
    """
    return _decoded(body, max_pixels, _planes)


def _decoded(body: bytes, max_pixels: int, read: Callable[[Image.Image, bytes], T]) -> T:
    try:
        # Pillow's own bomb warning is replaced by the limit below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(body), formats=_FORMATS) as image:
                _check_size(image, max_pixels)
                found = read(image, body)
                if image.format == "PNG" and _PNG_END not in body:
                    raise EOFError("its end is missing")
                return found
    except Image.DecompressionBombError as error:
        raise BodyTooManyPixels(f"the image is far larger than {max_pixels} pixels") from error
    except (OSError, SyntaxError, ValueError, EOFError, TypeError) as error:
        # Pillow's words name an object of ours where it finds no format at all.
        why = "" if isinstance(error, UnidentifiedImageError) else f": {error}"
        raise ImageUnreadable(
            f"the body of {len(body)} bytes is not a whole PNG or TIFF image{why}"
        ) from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise BodyTooManyPixels(
            f"the image is {image.width} × {image.height} pixels, the limit is {max_pixels} in all"
        )
    if getattr(image, "n_frames", 1) > 1:
        raise ImageNotGreyscale("the image has several pages: send one slice at a time")


def _greys(image: Image.Image, body: bytes) -> Pixels:
    if image.mode not in _INTEGER_MODES:
        raise ImageNotGreyscale(
            f"the image has mode {image.mode}: send one grey channel of 8 or 16 bits "
            "(floating-point volumes go through `sfumato import`, which keeps their mapping)"
        )
    return _as_unsigned(np.asarray(image))


def _planes(image: Image.Image, body: bytes) -> list[Pixels]:
    if image.mode not in _COLOURED:
        return [_greys(image, body)]
    if image.mode not in ("P", "RGB", "RGBA"):
        raise ImageNotGreyscale(f"the image is of the kind {image.mode}: write it as RGB")
    if _is_deep(image, body):
        raise ImageNotGreyscale(
            "the image has 16 bits a colour, which cannot be read exactly: write one grey image "
            "a channel, or 8 bits a colour"
        )
    colours = np.asarray(image.convert("RGBA"))
    if colours[..., 3].min() < 255:
        raise ImageNotGreyscale("the image has transparent pixels: write it without transparency")
    return [np.ascontiguousarray(colours[..., n]) for n in range(3)]


def _is_deep(image: Image.Image, body: bytes) -> bool:
    """Whether there are more than 8 bits a colour, which Pillow would cut without a word."""
    if image.format == "PNG":
        # The byte after width and height in the first chunk.
        return body[24] > 8
    bits: tuple[int, ...] = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    return max(bits) > 8


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
