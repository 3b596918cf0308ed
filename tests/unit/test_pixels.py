"""Masks from outside are numbers: whatever a file says of showing them, the samples come back."""

import io
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.core.errors import (
    ImageNotGreyscale,
)
from app.core.pixels import decode_picture, decode_upload
from tests.unit.picture_files import (
    GREY,
    LIMIT,
    PALETTE,
    SAYS,
    box,
    hand_tiff,
    pillow,
    png,
    tiff,
)

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
