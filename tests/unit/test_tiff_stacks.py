"""TIFF files of several pages: each page is plain grey, and all there."""

import numpy as np
import pytest
import tifffile

from app.core.errors import VolumeInvalid
from app.formats.tiff_stacks import read_tiff_stack

PIXELS = np.random.default_rng(0).integers(0, 3, (4, 30, 20)).astype(np.uint8)


def test_plain_pages_are_what_they_store(tmp_path):
    for dtype in (np.uint8, np.uint16, np.int16):
        stack = PIXELS.astype(dtype)
        tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", compression="zlib")
        assert np.array_equal(read_tiff_stack(tmp_path / "a.tif"), PIXELS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"photometric": "miniswhite"}, "MINISWHITE"),
        ({"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}, "coloured"),
        ({"compression": "jpeg"}, "changes numbers"),
        ({"extratags": [(274, "H", 1, 3, True)]}, "turned"),
    ],
)
def test_pages_that_are_not_shown_as_they_are_stored_are_refused(tmp_path, options, says):
    options = {"photometric": "minisblack", **options}
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, **options)
    with pytest.raises(VolumeInvalid, match=says):
        read_tiff_stack(tmp_path / "a.tif")


def test_missing_strips_are_not_filled(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="minisblack")
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[2].aspage().tags["StripByteCounts"].overwrite(0)
    with pytest.raises(VolumeInvalid, match=r"a\.tif"):
        read_tiff_stack(path)
