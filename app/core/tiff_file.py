"""TIFF from outside, as the numbers that its samples are.

tifffile decodes; what it would forgive (missing strips, several pictures in one page) is refused
here, and its size is known before anything is decoded.
"""

import io
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from app.core.errors import BodyTooManyPixels, ImageNotGreyscale, ImageUnreadable

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

Numbers = npt.NDArray[Any]
_SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
# Nothing that a scanner or a program writes is cut so small; each costs time of its own.
_MOST_SEGMENTS = 100_000
_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _MASK, _YCBCR = 0, 1, 2, 3, 4, 6
# None, CCITT (three), LZW, deflate (two), PackBits, LZMA, Zstandard: what gives back what was put.
_EXACT = {1, 2, 3, 4, 5, 8, 32946, 32773, 34925, 50000, 34926}
_JPEG, _JPEG2000 = 7, {33003, 33004, 33005, 34712}
_READ = _EXACT | _JPEG2000 | {_JPEG}
_ORIENTATION, _IMAGE_DEPTH = 274, 32997
_SIZES = (
    "imagewidth",
    "imagelength",
    "imagedepth",
    "bitspersample",
    "samplesperpixel",
    "tilewidth",
    "tilelength",
    "tiledepth",
    "rowsperstrip",
    "planarconfig",
    "predictor",
)


def is_tiff(body: bytes) -> bool:
    """Whether bytes begin as a TIFF or BigTIFF does."""
    return body.startswith(_SIGNATURES)


def size_of(body: bytes) -> tuple[int, int]:
    """(height, width) of the first page, by its header. Raises whatever a damaged one leads to."""
    with _opened(body) as tiff:
        page = tiff.pages.first
        _check_header(page)
        return page.imagelength, page.imagewidth


def numbers(body: bytes, max_pixels: int) -> Numbers:
    """The stored samples of a TIFF of one number a pixel, (H, W): white may be 0, it may be turned.

    Of a palette they are the indices.
    """
    with _page(body, max_pixels) as page:
        if page.samplesperpixel != 1:
            raise ImageNotGreyscale(
                f"the TIFF has {page.samplesperpixel} numbers a pixel: a mask is one, so write it "
                "as grey, without transparency"
            )
        if page.compression not in _EXACT:
            raise ImageNotGreyscale(
                f"the TIFF is compressed by {_name(page.compression)}, which may have changed its "
                "numbers: write a mask without loss, such as with deflate"
            )
        return _decoded(page)


def planes(body: bytes, max_pixels: int) -> list[Numbers]:
    """The stored samples of a grey TIFF, else its red, green and blue, each (H, W)."""
    with _page(body, max_pixels) as page:
        _check_shown(page)
        if page.photometric == _PALETTE:
            return _looked_up(_decoded(page), page.colormap)
        found = _decoded(page)
        if page.samplesperpixel == 1:
            _check_integers(found)
            return [found]
        if found.dtype != np.uint8:
            raise ImageNotGreyscale(
                f"the image has {page.bitspersample} bits a colour, which cannot be read exactly: "
                "write one grey image a channel, or 8 bits a colour"
            )
        colours = list(found if page.planarconfig == 2 else np.moveaxis(found, -1, 0))
        if len(colours) == 4 and colours.pop().min() < 255:
            raise ImageNotGreyscale(
                "the image has transparent pixels: write it without transparency"
            )
        return [np.ascontiguousarray(plane) for plane in colours]


def check_slice(page: "TiffPage", length: int, max_pixels: int) -> None:
    """Raise for a page of a stack whose stored samples are not plain grey numbers, all there.

    ``length``: bytes of the file.
    """
    _check_header(page)
    if page.imagewidth * page.imagelength > max_pixels:
        raise BodyTooManyPixels(f"a page has {page.imagewidth} × {page.imagelength} pixels")
    _check_segments(page, length, max_pixels)
    _check_shown(page)
    if page.samplesperpixel != 1 or page.photometric != _MINISBLACK:
        raise ImageNotGreyscale("a page is coloured: write one grey value a pixel")
    if page.compression not in _EXACT:
        raise ImageNotGreyscale(
            f"a page is compressed by {_name(page.compression)}, which changes numbers: write it "
            "with deflate, LZW or without compression"
        )


@contextmanager
def _page(body: bytes, max_pixels: int) -> Iterator["TiffPage"]:
    """The one page of a TIFF, its header checked."""
    with _opened(body) as tiff:
        page = tiff.pages.first
        _check_header(page)
        _check_single(tiff, page)
        pixels = page.imagewidth * page.imagelength
        if pixels > max_pixels:
            raise BodyTooManyPixels(
                f"the image is {page.imagewidth} × {page.imagelength} pixels, the limit is "
                f"{max_pixels} in all"
            )
        _check_segments(page, len(body), max_pixels)
        yield page


def _opened(body: bytes) -> "TiffFile":
    # Loaded here: it takes a while, and most pictures are PNG.
    from tifffile import TiffFile

    # What it has to say of a file is said by our errors; its own words may quote the file's text.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    return TiffFile(io.BytesIO(body))


def _check_header(page: "TiffPage") -> None:
    """Raise ``ImageUnreadable`` unless sizes are numbers: text times a number fills the memory."""
    sizes = {name: getattr(page, name) for name in _SIZES}
    wrong = {name: size for name, size in sizes.items() if not isinstance(size, int) or size < 0}
    if wrong or page.imagewidth < 1 or page.imagelength < 1 or page.dtype is None:
        raise ImageUnreadable(
            "the TIFF is damaged, or of a kind that is not read: its header says "
            + ", ".join(f"{name} {str(size)[:20]}" for name, size in (wrong or sizes).items())
        )


def _check_single(tiff: Any, page: "TiffPage") -> None:
    """Raise ``ImageNotGreyscale`` for several pictures, be they pages or hidden in one."""
    several = page.tags.get(_IMAGE_DEPTH) is not None and page.imagedepth > 1
    several |= bool(tiff.is_stk or tiff.is_lsm)
    if tiff.is_imagej:
        several |= (tiff.imagej_metadata or {}).get("images", 1) != 1
    if tiff.is_shaped and tiff.shaped_metadata:
        shape = tiff.shaped_metadata[0].get("shape", page.shape)
        several |= math.prod(int(n) for n in shape) != math.prod(page.shape)
    try:
        tiff.pages[1]
    except IndexError:
        pass
    else:
        several = True
    if several:
        raise ImageNotGreyscale("the image has several pages: send one slice at a time")


def _check_segments(page: "TiffPage", length: int, max_pixels: int) -> None:
    """Raise ``ImageUnreadable`` where strips or tiles are missing, or larger than they may be."""
    if page.compression not in _READ:
        raise ImageUnreadable(
            f"the TIFF is compressed by {_name(page.compression)}, which is not read: "
            "write it with deflate, LZW or without compression"
        )
    if page.is_tiled:
        size = page.tilewidth * page.tilelength
        if page.tilewidth < 1 or page.tilelength < 1 or size > max(max_pixels, 2**22):
            raise ImageUnreadable("the TIFF is damaged: the size of its tiles cannot be")
        rows = math.ceil(page.imagelength / page.tilelength)
        wanted = rows * math.ceil(page.imagewidth / page.tilewidth)
    else:
        size = page.imagewidth * min(page.rowsperstrip, page.imagelength)
        wanted = math.ceil(page.imagelength / page.rowsperstrip)
    if page.planarconfig == 2:
        wanted *= page.samplesperpixel
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if wanted > _MOST_SEGMENTS or wanted != len(segments):
        raise ImageUnreadable(
            f"the TIFF is damaged: it has {len(segments)} strips or tiles where its size asks for "
            f"{wanted}"
        )
    if any(count < 1 or start < 8 or start + count > length for start, count in segments):
        raise ImageUnreadable("the TIFF is not whole: strips or tiles of it are missing")
    if page.predictor not in (1, 2, 3) or (
        page.predictor != 1 and page.bitspersample not in (8, 16, 32, 64)
    ):
        raise ImageUnreadable("the TIFF is damaged: its predictor does not fit its samples")


def _check_shown(page: "TiffPage") -> None:
    """Raise ``ImageNotGreyscale`` for what is not shown as it is stored, and for other colours."""
    tag = page.tags.get(_ORIENTATION)
    if tag is not None and tag.value != 1:
        raise ImageNotGreyscale(
            f"the TIFF says that it is to be shown turned (orientation {int(tag.value)}): write it "
            "as it is to be seen, without that note"
        )
    if page.photometric == _MINISWHITE:
        raise ImageNotGreyscale(
            "the TIFF says that 0 is white (MINISWHITE), so its numbers are not what is seen: "
            "write it with 0 as black"
        )
    samples = page.samplesperpixel
    grey = samples == 1 and page.photometric in (_MINISBLACK, _PALETTE)
    # A JPEG's colours come back as red, green and blue; 1 and 2 are transparency.
    colour = page.photometric == _RGB or (page.photometric, page.compression) == (_YCBCR, _JPEG)
    plain = samples == 3 or (samples == 4 and set(page.extrasamples) <= {1, 2})
    if not grey and not (colour and plain):
        kind = getattr(page.photometric, "name", page.photometric)
        raise ImageNotGreyscale(
            f"the image is of the kind {kind} with {samples} numbers a pixel: write it as grey, or "
            "as RGB"
        )


def _decoded(page: "TiffPage") -> Numbers:
    # One thread: requests have their own, and a picture is small.
    found: Numbers = page.asarray(maxworkers=1)
    samples = () if page.samplesperpixel == 1 else (page.samplesperpixel,)
    size = (page.imagelength, page.imagewidth)
    wanted = (*samples, *size) if page.planarconfig == 2 else (*size, *samples)
    if found.dtype.kind not in "buif":
        raise ImageNotGreyscale("the pixel values are complex: write whole numbers")
    return found.reshape(wanted)


def _check_integers(found: Numbers) -> None:
    if found.dtype.kind == "f":
        raise ImageNotGreyscale(
            "the image holds floating-point numbers: send one grey channel of 8 or 16 bits "
            "(floating-point volumes go through `sfumato import`, which keeps their mapping)"
        )


def _looked_up(indices: Numbers, table: Any) -> list[Numbers]:
    """The colours of a palette, whose entries TIFF stores in 16 bits."""
    if table is None or indices.max() >= table.shape[1]:
        raise ImageUnreadable("the TIFF is damaged: pixels name colours that its table lacks")
    step = 257 if not (table % 257).any() else 256
    if (table % step).any():
        raise ImageNotGreyscale(
            "the image has 16 bits a colour, which cannot be read exactly: write 8 bits a colour"
        )
    return [(colour // step).astype(np.uint8)[indices] for colour in table]


def _name(compression: int) -> str:
    return str(getattr(compression, "name", compression))
