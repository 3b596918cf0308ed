"""PNG from outside, as the numbers that its samples are.

Pillow decodes, but of the header's chunks it is shown only those that the samples need: text,
profiles, gamma and the like can then neither change a number nor cost memory.
"""

import io
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.core.errors import BodyTooManyPixels, ImageNotGreyscale, ImageUnreadable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Numbers = npt.NDArray[Any]
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_KINDS = {_RGB: "colour", _GREY_ALPHA: "grey with transparency", _RGBA: "colour with transparency"}
_SAMPLES = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
# Transparent colours are part of what a picture shows.
_SHOWN = (*_SAMPLES, b"tRNS")
_ORIENTATION = 0x0112
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
# Where each pass of an interlaced picture begins, and its steps: down, across.
_PASSES = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
_INFLATED_AT_ONCE = 2**20


@dataclass(frozen=True)
class _Png:
    """A PNG whose chunks are whole: its header, and its chunks by kind, in order."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    chunks: list[tuple[bytes, bytes]]

    def first(self, kind: bytes) -> bytes | None:
        """What the first chunk of a kind holds."""
        return next((chunk[8:-4] for k, chunk in self.chunks if k == kind), None)

    def pixels(self, kinds: tuple[bytes, ...]) -> Image.Image:
        """The decoded picture, made of these kinds of chunks alone."""
        _check_whole(self)
        body = SIGNATURE + b"".join(chunk for kind, chunk in self.chunks if kind in kinds)
        image = Image.open(io.BytesIO(body), formats=("PNG",))
        image.load()
        return image


def size_of(body: bytes) -> tuple[int, int] | None:
    """(height, width) in the header of a PNG; None where no header is."""
    start = len(SIGNATURE) + 4
    if body[start : start + 4] != b"IHDR" or len(body) < start + 12:
        return None
    return int.from_bytes(body[start + 8 : start + 12]), int.from_bytes(body[start + 4 : start + 8])


def numbers(body: bytes, max_pixels: int) -> Numbers:
    """The stored samples of a grey PNG, the indices of one with a palette: (H, W)."""
    png = _opened(body, max_pixels)
    if png.colour not in (_GREY, _PALETTE):
        raise ImageNotGreyscale(
            f"the PNG is {_KINDS[png.colour]}: a mask is one number a pixel, so write it as grey "
            "or with a palette, without transparency"
        )
    return _samples(png)


def planes(body: bytes, max_pixels: int) -> list[Numbers]:
    """The stored samples of a grey PNG, else its red, green and blue, each (H, W)."""
    png = _opened(body, max_pixels)
    turned = _orientation(png)
    if turned != 1:
        raise ImageNotGreyscale(
            f"the PNG says that it is to be shown turned (orientation {turned}): write it as it "
            "is to be seen, without that note"
        )
    if png.colour == _GREY:
        return [_samples(png)]
    if png.colour == _GREY_ALPHA:
        raise ImageNotGreyscale(f"the PNG is {_KINDS[png.colour]}: write it as grey alone")
    if png.depth > 8:
        raise ImageNotGreyscale(
            "the image has 16 bits a colour, which cannot be read exactly: write one grey image "
            "a channel, or 8 bits a colour"
        )
    colours = np.asarray(png.pixels(_SHOWN).convert("RGBA"))
    if colours[..., 3].min() < 255:
        raise ImageNotGreyscale("the image has transparent pixels: write it without transparency")
    return [np.ascontiguousarray(colours[..., n]) for n in range(3)]


def _samples(png: _Png) -> Numbers:
    found: Numbers = np.asarray(png.pixels(_SAMPLES))
    if found.shape != (png.height, png.width):
        raise ImageUnreadable(f"the PNG was decoded to {found.shape}, not to its header's size")
    if png.colour == _GREY and png.depth in (2, 4):
        # Pillow stretches them over 8 bits, by exactly this.
        found = found // (255 // (2**png.depth - 1))
    return found


def _opened(body: bytes, max_pixels: int) -> _Png:
    chunks = _whole_chunks(body)
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 25:
        raise ImageUnreadable("the PNG does not begin with a header: it is damaged or no plain PNG")
    header = chunks[0][1][8:-4]
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    if width * height > max_pixels:
        raise BodyTooManyPixels(
            f"the image is {width} × {height} pixels, the limit is {max_pixels} in all"
        )
    if width == 0 or height == 0 or header[9] not in _CHANNELS:
        raise ImageUnreadable("the PNG's header is damaged: it has no size or an unknown kind")
    png = _Png(width, height, header[8], header[9], header[12] != 0, chunks)
    frames = png.first(b"acTL")
    if frames is not None and int.from_bytes(frames[:4]) > 1:
        raise ImageNotGreyscale("the image has several pages: send one slice at a time")
    return png


def _whole_chunks(body: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks up to the end mark, whole; those that the pixels need are checked by their sum."""
    found: list[tuple[bytes, bytes]] = []
    at = len(SIGNATURE)
    while not found or found[-1][0] != b"IEND":
        end = at + 12 + int.from_bytes(body[at : at + 4])
        kind, chunk = body[at + 4 : at + 8], body[at:end]
        if len(body) < at + 12 or len(body) < end:
            raise ImageUnreadable(
                f"the body of {len(body)} bytes is not a whole PNG or TIFF image: it is a PNG "
                "whose end is missing"
            )
        if kind in _SAMPLES and zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            raise ImageUnreadable(
                f"the PNG is damaged: the sum of its part {kind.decode()} at byte {at} is wrong"
            )
        found.append((kind, chunk))
        at = end
    return found


def _check_whole(png: _Png) -> None:
    """Raise ``ImageUnreadable`` unless all rows are there: Pillow leaves missing ones black."""
    bits = png.depth * _CHANNELS[png.colour]
    passes = _PASSES if png.interlaced else ((0, 0, 1, 1),)
    wanted = 0
    for top, left, down, across in passes:
        rows = len(range(top, png.height, down))
        columns = len(range(left, png.width, across))
        wanted += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    inflate, found = zlib.decompressobj(), 0
    rest = b"".join(chunk[8:-4] for kind, chunk in png.chunks if kind == b"IDAT")
    while rest and not inflate.eof and found <= wanted:
        found += len(inflate.decompress(rest, _INFLATED_AT_ONCE))
        rest = inflate.unconsumed_tail
    if found != wanted:
        raise ImageUnreadable(
            f"the PNG is damaged: its size asks for {wanted} bytes of samples, it holds "
            f"{'more' if found > wanted else found}"
        )


def _orientation(png: _Png) -> int:
    note = png.first(b"eXIf")
    if note is None:
        return 1
    exif = Image.Exif()
    exif.load(note)
    return int(exif.get(_ORIENTATION, 1))
