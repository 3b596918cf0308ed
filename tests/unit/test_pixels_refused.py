"""Pictures that cannot be read as they are meant are refused in words, whatever their bytes."""

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.core.errors import (
    BodyTooManyPixels,
    ImageNotGreyscale,
    ImageUnreadable,
    SfumatoError,
)
from app.core.pixels import decode_picture, decode_upload
from tests.unit.picture_files import LIMIT, PALETTE, SAYS, box, chunk, hand_tiff, pillow, png, tiff

NO_MASKS = {
    "colour": (png_rgb := pillow(Image.new("RGB", (30, 20)), "PNG"), "colour"),
    "transparency": (pillow(Image.new("LA", (30, 20)), "PNG"), "transparency"),
    "fractions": (tiff(box(np.float32, 0.5)), "no whole numbers"),
    "not a number": (tiff(box(np.float32, np.nan)), "no whole numbers"),
    "negative": (tiff(box(np.int16, -1)), "from -1 to 0"),
    "too large": (tiff(box(np.int32, 70_000)), "70000"),
    "complex": (tiff(box(np.complex64)), "complex"),
    "pages": (tiff(np.stack([box()] * 3), photometric="minisblack"), "several pages"),
    "an ImageJ stack": (tiff(np.stack([box()] * 3), imagej=True), "several pages"),
    "a stack in one page": (
        tiff(np.stack([box()] * 3), truncate=True, photometric="minisblack"),
        "several pages",
    ),
    "a volume": (
        tiff(np.stack([box()] * 16), volumetric=True, tile=(16, 16, 16), photometric="minisblack"),
        "several pages",
    ),
    "jpeg": (tiff(box(), compression="jpeg"), "may have changed"),
    "jpeg 2000": (tiff(box(), compression="jpeg2000"), "may have changed"),
    "an animation": (
        pillow(
            Image.new("L", (30, 20)),
            "PNG",
            save_all=True,
            append_images=[Image.new("L", (30, 20), 1)],
        ),
        "several pages",
    ),
}


@pytest.mark.parametrize("name", sorted(NO_MASKS))
def test_what_is_no_class_map_is_refused_in_words(name):
    body, words = NO_MASKS[name]
    with pytest.raises(ImageNotGreyscale, match=words):
        decode_upload(body, LIMIT)


NO_PICTURES = {
    "white is 0": (tiff(box(), photometric="miniswhite"), "white"),
    "turned tiff": (tiff(box(), extratags=[(274, "H", 1, 6, True)]), "turned"),
    "turned png": (png(box(), 8, says={b"eXIf": SAYS[b"eXIf"]}), "turned"),
    "deep palette": (
        tiff(box(), photometric="palette", colormap=np.full((3, 256), 300, np.uint16)),
        "16 bits",
    ),
    "deep colours": (tiff(np.zeros((20, 30, 3), np.uint16), photometric="rgb"), "16 bits"),
    "floats": (tiff(box(np.float32)), "sfumato import"),
    "transparent": (pillow(Image.new("RGBA", (30, 20)), "PNG"), "transparent"),
}


@pytest.mark.parametrize("name", sorted(NO_PICTURES))
def test_what_is_not_shown_as_it_is_stored_is_refused_as_a_picture(name):
    body, words = NO_PICTURES[name]
    with pytest.raises(ImageNotGreyscale, match=words):
        decode_picture(body, LIMIT)


@pytest.mark.parametrize(
    "body",
    [
        png(np.zeros((101, 100)), 1),
        tiff(np.zeros((101, 100), np.uint8)),
        hand_tiff(2**31 - 1, 2**31 - 1, 8, b"0"),
        hand_tiff(2**31 - 1, 1, 64, b"0"),
    ],
)
def test_a_size_over_the_limit_is_refused_by_its_header(body):
    for decode in (decode_upload, decode_picture):
        with pytest.raises(BodyTooManyPixels, match="limit"):
            decode(body, LIMIT)


def test_text_for_a_size_is_refused_at_once():
    """One character times the length of the picture would be gigabytes."""
    whole = hand_tiff(30, 2**31, 8, b"\x00" * 600)
    width = struct.pack("<HHII", 256, 4, 1, 30)
    body = whole.replace(width, struct.pack("<HHII", 256, 1, 1, 30))
    as_text = whole.replace(width, struct.pack("<HHII", 256, 2, 1, 30))
    for one in (body, as_text):
        with pytest.raises((ImageUnreadable, BodyTooManyPixels)):
            decode_upload(one, LIMIT)


def test_a_strip_that_unpacks_to_far_more_is_refused():
    bomb = hand_tiff(30, 20, 8, zlib.compress(b"\x01" * 50_000_000), 8)
    with pytest.raises(ImageUnreadable):
        decode_upload(bomb, LIMIT)


DAMAGED = {
    "no page": b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    "only its signature": b"II*\x00",
    "no strip": hand_tiff(30, 20, 8, b"\x00" * 600, t279=0),
    "a strip outside": hand_tiff(30, 20, 8, b"\x00" * 600, t273=10**6),
    "a strip cut": hand_tiff(30, 20, 8, b"\x00" * 599),
    "a strip that unpacks to too little": hand_tiff(30, 20, 8, zlib.compress(b"\x00" * 599), 8),
    "strips missing": hand_tiff(30, 20, 8, b"\x00" * 600, t278=1),
    "huge tiles": hand_tiff(30, 20, 8, b"\x00" * 600, t322=2**31, t323=2**31),
    "old jpeg": hand_tiff(30, 20, 8, b"\x00" * 600, 6),
    "unknown compression": hand_tiff(30, 20, 8, b"\x00" * 600, 12345),
    "no bits": hand_tiff(30, 20, 0, b"\x00" * 600),
    "absurd bits": hand_tiff(30, 20, 999, b"\x00" * 600),
    "a png without pixels": png(box(), 8).replace(b"IDAT", b"ABCD"),
    "a png with too few pixels": png(box()[:10], 8).replace(
        chunk(b"IHDR", struct.pack(">IIBBBBB", 30, 10, 8, 0, 0, 0, 0)),
        chunk(b"IHDR", struct.pack(">IIBBBBB", 30, 20, 8, 0, 0, 0, 0)),
    ),
    "a png of an impossible depth": png(box(), 8).replace(
        chunk(b"IHDR", struct.pack(">IIBBBBB", 30, 20, 8, 0, 0, 0, 0)),
        chunk(b"IHDR", struct.pack(">IIBBBBB", 30, 20, 7, 0, 0, 0, 0)),
    ),
}


@pytest.mark.parametrize("name", sorted(DAMAGED))
def test_a_damaged_file_is_unreadable(name):
    for decode in (decode_upload, decode_picture):
        with pytest.raises(ImageUnreadable):
            decode(DAMAGED[name], LIMIT)


WHOLE = [
    png(box(), 4),
    png(box(), 8, PALETTE),
    tiff(box(bool)),
    tiff(box(), compression="deflate", rowsperstrip=3),
    tiff(box(np.uint16), compression="lzw", tile=(16, 16), predictor=True),
    tiff(box(), bigtiff=True, compression="packbits"),
    tiff(np.zeros((20, 30, 3), np.uint8), photometric="rgb", compression="jpeg"),
]


@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
    st.floats(0.2, 1),
)
@settings(max_examples=400, deadline=None)
def test_no_bytes_get_anything_but_a_refusal(body, changes, share):
    damaged = bytearray(body[: max(8, int(len(body) * share))])
    for at, value in changes:
        damaged[at % len(damaged)] = value
    for decode in (decode_upload, decode_picture):
        with suppress(SfumatoError):
            decode(bytes(damaged), LIMIT)
