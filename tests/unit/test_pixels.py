"""Masks from outside are numbers: whatever a file says of showing them, the samples come back."""

import io
import struct
import zlib
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
import tifffile
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

LIMIT = 100 * 100
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
# What a file may say of showing it: transparent 1, gamma, significant bits, and shown turned.
SAYS = {
    b"tRNS": b"\x00\x01",
    b"gAMA": struct.pack(">I", 100_000),
    b"sBIT": b"\x01",
    b"iCCP": b"profile\x00\x00" + zlib.compress(b"no profile"),
    b"eXIf": b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
    + b"\x00" * 4,
    b"tEXt": b"Comment\x00Anna",
}


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def rows_of(pixels: np.ndarray, depth: int) -> bytes:
    """Filtered by none: each row its samples, packed."""
    rows = []
    for row in pixels:
        if depth == 16:
            packed = row.astype(">u2").tobytes()
        else:
            bits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
            packed = np.packbits(bits.ravel()).tobytes()
        rows.append(b"\x00" + packed)
    return b"".join(rows)


def png(
    pixels: np.ndarray,
    depth: int,
    colour: int = GREY,
    interlaced: bool = False,
    says: dict | None = None,
) -> bytes:
    """A PNG written by hand, (H, W) of one sample a pixel."""
    height, width = pixels.shape
    data = rows_of(pixels, depth)
    if interlaced:
        steps = (
            (0, 0, 8, 8),
            (0, 4, 8, 8),
            (4, 0, 8, 4),
            (0, 2, 4, 4),
            (2, 0, 4, 2),
            (0, 1, 2, 2),
            (1, 0, 2, 1),
        )
        passes = [pixels[y::dy, x::dx] for y, x, dy, dx in steps]
        data = b"".join(rows_of(one, depth) for one in passes if one.size)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    says = dict(says or {})
    extra = b"".join(chunk(kind, says.pop(kind)) for kind in list(says) if kind != b"tRNS")
    table = b""
    if colour == PALETTE:
        table = chunk(b"PLTE", bytes((n * 7) % 256 for n in range(3 * 2**depth)))
    after = b"".join(chunk(kind, data_) for kind, data_ in says.items())
    pixels_ = chunk(b"IDAT", zlib.compress(data))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + table
        + after
        + pixels_
        + chunk(b"IEND", b"")
    )


def tiff(pixels: np.ndarray, **how) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **how)
    return buffer.getvalue()


def pillow(image: Image.Image, kind: str = "TIFF", **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **how)
    return buffer.getvalue()


def box(dtype=np.uint8, value=1) -> np.ndarray:
    pixels = np.zeros((20, 30), dtype=dtype)
    pixels[5:9, 6:14] = value
    return pixels


maps = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))


@given(
    maps, st.sampled_from([1, 2, 4, 8, 16]), st.booleans(), st.sets(st.sampled_from(sorted(SAYS)))
)
@settings(max_examples=60, deadline=None)
def test_any_grey_png_gives_its_samples(size, depth, interlaced, says):
    height, width, seed = size
    pixels = np.random.default_rng(seed).integers(0, 2**depth, (height, width))
    body = png(pixels, depth, GREY, interlaced, {kind: SAYS[kind] for kind in says})
    np.testing.assert_array_equal(decode_upload(body, LIMIT), pixels)


@given(maps, st.sampled_from([1, 2, 4, 8]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_palette_png_gives_its_indices(size, depth, interlaced):
    height, width, seed = size
    pixels = np.random.default_rng(seed).integers(0, 2**depth, (height, width))
    body = png(pixels, depth, PALETTE, interlaced, {b"tRNS": b"\x00"})
    np.testing.assert_array_equal(decode_upload(body, LIMIT), pixels)


TYPES = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
TYPES += ["float16", "float32", "float64"]


@given(
    maps,
    st.sampled_from(TYPES),
    st.sampled_from([None, "deflate", "lzw", "packbits", "zstd", "lzma"]),
    st.sampled_from(["miniswhite", "minisblack"]),
    st.fixed_dictionaries(
        {},
        optional={
            "bigtiff": st.booleans(),
            "byteorder": st.sampled_from("<>"),
            "tile": st.just((16, 32)),
            "rowsperstrip": st.integers(1, 40),
            "predictor": st.booleans(),
            "description": st.just("Anna"),
            "orientation": st.integers(1, 8),
        },
    ),
)
@settings(max_examples=150, deadline=None)
def test_any_tiff_gives_its_samples(size, dtype, compression, photometric, how):
    height, width, seed = size
    high = 2 if dtype == "bool" else 100
    pixels = np.random.default_rng(seed).integers(0, high, (height, width)).astype(dtype)
    if "tile" in how:
        how.pop("rowsperstrip", None)
    if compression is None or dtype == "bool":
        how.pop("predictor", None)
    turned = how.pop("orientation", 1)
    tags = [(274, "H", 1, turned, True)]
    try:
        body = tiff(pixels, compression=compression, photometric=photometric, extratags=tags, **how)
    except (ValueError, NotImplementedError):
        return  # tifffile does not write this combination
    np.testing.assert_array_equal(decode_upload(body, LIMIT), pixels)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(body)).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("bits", [2, 3, 4, 7, 12])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_packed_samples_of_a_tiff(bits, compression):
    pixels = (
        np.random.default_rng(bits)
        .integers(0, 2**bits, (21, 33))
        .astype(np.uint16 if bits > 8 else np.uint8)
    )
    packed = imagecodecs.packints_encode(pixels, bits, runlen=33)
    body = hand_tiff(
        33, 21, bits, zlib.compress(packed) if compression else packed, 8 if compression else 1
    )
    np.testing.assert_array_equal(decode_upload(body, LIMIT), pixels)


def hand_tiff(width, height, bits, data, compression=1, photometric=1, **more) -> bytes:
    """A TIFF of one strip written by hand; ``more``: tags by number, as t274=6."""
    tags = {256: width, 257: height, 258: bits, 259: compression, 262: photometric}
    tags |= {273: 0, 277: 1, 278: height, 279: len(data)}
    tags |= {int(key[1:]): value for key, value in more.items()}
    start = 8 + 2 + 12 * len(tags) + 4
    tags[273] = more.get("t273", start)
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(tags)) + fields + b"\x00" * 4 + data


@pytest.mark.parametrize(
    "compression", [None, "group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"]
)
def test_one_bit_as_pillow_writes_it(compression):
    pixels = box(np.uint8)
    body = pillow(Image.fromarray(pixels.astype(bool)), compression=compression)
    np.testing.assert_array_equal(decode_upload(body, LIMIT), pixels)


def test_palette_tiff_gives_its_indices_and_a_picture_its_colours():
    table = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16)
    pixels = box(np.uint8, 7)
    for step in (256, 257):
        body = tiff(pixels, photometric="palette", colormap=table * step)
        np.testing.assert_array_equal(decode_upload(body, LIMIT), pixels)
        for plane, colour in zip(decode_picture(body, LIMIT), table, strict=True):
            np.testing.assert_array_equal(plane, colour[pixels])


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_picture_keeps_its_stored_numbers(bits):
    pixels = np.random.default_rng(bits).integers(0, 2**bits, (20, 30))
    (plane,) = decode_picture(png(pixels, bits), LIMIT)
    np.testing.assert_array_equal(plane, pixels)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(
    "how", [{}, {"tile": (16, 16)}, {"compression": "deflate", "predictor": True}]
)
def test_a_coloured_tiff_gives_its_planes(planar, how):
    colours = np.random.default_rng(0).integers(0, 256, (3, 20, 30)).astype(np.uint8)
    stored = colours if planar == "separate" else np.moveaxis(colours, 0, -1)
    body = tiff(stored, photometric="rgb", planarconfig=planar, **how)
    np.testing.assert_array_equal(np.stack(decode_picture(body, LIMIT)), colours)
    with pytest.raises(ImageNotGreyscale, match="3 numbers a pixel"):
        decode_upload(body, LIMIT)


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
