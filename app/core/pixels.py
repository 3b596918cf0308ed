"""Pictures in and out: images of 8 or 16 bits, masks of class indices. Nothing is lost on the way.

From outside both are read as numbers, never as they would be shown: no scaling, no inversion, no
turning. Only a picture's colours are looked up.
"""

import io
from contextlib import suppress

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.core import png_file, tiff_file
from app.core.errors import ImageNotGreyscale, ImageUnreadable, SfumatoError

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_HIGHEST = int(np.iinfo(np.uint16).max)
# Rows of a large picture that are looked at together, which bounds what copies cost.
_ROWS_AT_ONCE = 256


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
    """The numbers of a mask in a PNG or TIFF from outside, as stored: (H, W), uint8 or uint16.

    Grey of any depth gives its samples, a palette its indices, whole floats their integers; what a
    file says of showing it (white as 0, gamma, an orientation) changes nothing. Raises
    ``ImageUnreadable`` for anything that is not a whole PNG or TIFF, ``BodyTooManyPixels`` before
    decoding one whose header promises more than ``max_pixels``, and ``ImageNotGreyscale`` for
    colour, several pages, lossy compression and numbers that are no class indices.
    """
    try:
        if body.startswith(png_file.SIGNATURE):
            return _as_unsigned(png_file.numbers(body, max_pixels))
        if tiff_file.is_tiff(body):
            return _as_unsigned(tiff_file.numbers(body, max_pixels))
    except SfumatoError:
        raise
    except Exception as error:  # libraries raise whatever a damaged file makes them stumble over
        raise _unreadable(body, str(error)) from error
    raise _unreadable(body)


def size_of(body: bytes) -> tuple[int, int] | None:
    """(height, width) by the header of a PNG or TIFF from outside; None where that says none.

    Nothing is decoded, and nothing but the size is checked.
    """
    if body.startswith(png_file.SIGNATURE):
        return png_file.size_of(body)
    if tiff_file.is_tiff(body):
        # Whatever a damaged file makes the library stumble over is told when it is decoded.
        with suppress(Exception):
            return tiff_file.size_of(body)
    return None


def decode_picture(body: bytes, max_pixels: int) -> list[Pixels]:
    """What a PNG or TIFF from outside shows: one plane (H, W) of grey, or red, green and blue.

    Grey gives its stored numbers; the colours of a palette are looked up. Raises what
    ``decode_upload`` raises, and ``ImageNotGreyscale`` for what is shown otherwise than it is
    stored: turned, or with white as 0.
    """
    try:
        if body.startswith(png_file.SIGNATURE):
            return [_as_unsigned(plane) for plane in png_file.planes(body, max_pixels)]
        if tiff_file.is_tiff(body):
            return [_as_unsigned(plane) for plane in tiff_file.planes(body, max_pixels)]
    except SfumatoError:
        raise
    except Exception as error:  # as above
        raise _unreadable(body, str(error)) from error
    raise _unreadable(body)


def _unreadable(body: bytes, why: str = "") -> ImageUnreadable:
    words = f"the body of {len(body)} bytes is not a whole PNG or TIFF image"
    return ImageUnreadable(f"{words}: {why[:200]}" if why else words)


def _as_unsigned(pixels: npt.NDArray[np.generic]) -> Pixels:
    if pixels.dtype in (np.bool_, np.uint8):
        return np.ascontiguousarray(pixels, dtype=np.uint8)
    if pixels.dtype.kind == "f":
        for start in range(0, len(pixels), _ROWS_AT_ONCE):
            _check_whole(pixels[start : start + _ROWS_AT_ONCE].astype(np.float64))
    low, high = pixels.min().item(), pixels.max().item()
    if low < 0 or high > _HIGHEST:
        raise ImageNotGreyscale(
            f"the pixel values run from {low} to {high}: they must lie between 0 and {_HIGHEST}"
        )
    return np.ascontiguousarray(pixels, dtype=np.uint16)


def _check_whole(values: npt.NDArray[np.float64]) -> None:
    broken = values[~(np.isfinite(values) & (values == np.floor(values)))]
    if broken.size:
        raise ImageNotGreyscale(
            f"pixels are no whole numbers, such as {broken[0]:g}: send class indices, not "
            "probabilities"
        )
