"""Values of DICOM: slopes, MONOCHROME1, look-up tables, colours, compression, frames."""

import contextlib
import logging
import shutil
import tracemalloc
import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from app.core.errors import VolumeInvalid
from tests.unit.dicom_files import RNG, data_set, numbered, read, series, values

TESTS = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.mark.parametrize("slope", [1, 0.5, -2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_the_lowest_value_of_monochrome1_is_stored_brightest(tmp_path, slope, dtype):
    pixels = RNG.integers(0, 200, (3, 6, 5)).astype(dtype) - (dtype == np.int16) * dtype(50)
    elements = {"RescaleSlope": slope, "RescaleIntercept": 7, "Modality": "CR"}
    case = read(series(tmp_path / "a", pixels, PhotometricInterpretation="MONOCHROME1", **elements))
    expected = pixels.astype(float) * slope + 7
    np.testing.assert_array_equal(values(case), expected)
    (channel,) = case.channels
    assert channel.rescale[0].slope < 0
    assert expected.flat[channel.pixels.argmax()] == expected.min()
    assert channel.largest_error == 0


def test_of_float_pixels_and_wide_ones_too(tmp_path):
    wide = RNG.integers(0, 2**31, (3, 6, 5)).astype(np.uint32)
    for tone in ("MONOCHROME1", "MONOCHROME2"):
        case = read(series(tmp_path / tone / "a", wide, PhotometricInterpretation=tone))
        (channel,) = case.channels
        assert (channel.rescale[0].slope < 0) == (tone == "MONOCHROME1")
        assert np.abs(values(case) - wide).max() == channel.largest_error
        assert "take more than 16 bits" in case.warnings[-1]
        shutil.rmtree(tmp_path / tone)


def test_a_falling_slope_is_shown_by_its_values(tmp_path):
    case = read(series(tmp_path / "a", numbered(), RescaleSlope=-1, RescaleIntercept=5))
    np.testing.assert_array_equal(values(case), 5.0 - numbered())
    assert case.channels[0].rescale[0].slope == 1


def test_each_slice_of_monochrome1_may_have_its_slope(tmp_path):
    slopes = [0.5, 1, 8]
    folder = series(
        tmp_path / "a", numbered(3), RescaleSlope=slopes, PhotometricInterpretation="MONOCHROME1"
    )
    case = read(folder)
    np.testing.assert_array_equal(values(case), numbered(3) * np.reshape(slopes, (3, 1, 1)))
    assert all(way.slope < 0 for way in case.channels[0].rescale)


def test_a_table_of_values_is_looked_up(tmp_path):
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.ModalityLUTType = "HU"
    table.add_new("LUTData", "US", [(n * 251) % 65536 for n in range(256)])
    pixels = RNG.integers(0, 256, (3, 6, 5)).astype(np.uint8)
    case = read(series(tmp_path / "a", pixels, ModalityLUTSequence=[table]))
    np.testing.assert_array_equal(values(case), np.array(table.LUTData)[pixels])


def test_bits_beside_those_that_are_stored_are_no_values(tmp_path):
    pixels = RNG.integers(0, 4096, (3, 6, 5)).astype(np.uint16)
    case = read(
        series(tmp_path / "a", pixels | 0xF000, BitsStored=12, HighBit=11, names=list("abc"))
    )
    np.testing.assert_array_equal(values(case), pixels)


def test_values_of_float_pixels(tmp_path):
    pixels = RNG.normal(size=(3, 6, 5)).astype(np.float32)
    folder = series(tmp_path / "a", pixels, names=list("abc"))
    for name in "abc":
        image = pydicom.dcmread(folder / name)
        image.FloatPixelData = image.PixelData
        for gone in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            delattr(image, gone)
        image.save_as(folder / name)
    case = read(folder)
    assert np.abs(values(case) - pixels).max() == case.channels[0].largest_error < 1e-4
    image = pydicom.dcmread(folder / "b")
    image.FloatPixelData = np.full((6, 5), np.nan, np.float32).tobytes()
    image.save_as(folder / "b")
    case = read(folder)
    assert "values that are not finite" in case.left_out[str(folder / "b")]


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_what_is_compressed_without_loss_is_exact(tmp_path, syntax, dtype):
    info = np.iinfo(dtype)
    pixels = RNG.integers(info.min // 4, info.max // 4, (3, 32, 40)).astype(dtype)
    folder = series(tmp_path / "a", pixels, names=list("abc"))
    for name in "abc":
        image = pydicom.dcmread(folder / name)
        image.compress(syntax, generate_instance_uid=False)
        image.save_as(folder / name)
    np.testing.assert_array_equal(values(read(folder)), pixels)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (HTJ2KLossless, lambda plane: imagecodecs.htj2k_encode(plane, reversible=True)),
        (JPEGLossless, lambda plane: imagecodecs.ljpeg_encode(plane, bitspersample=12)),
    ],
)
def test_what_other_encoders_compress_without_loss_is_exact(tmp_path, syntax, encode):
    pixels = RNG.integers(0, 4096, (3, 64, 64)).astype(np.uint16)
    folder = series(tmp_path / "a", pixels, names=list("abc"))
    for name, plane in zip("abc", pixels, strict=True):
        image = pydicom.dcmread(folder / name)
        image.PixelData = encapsulate([encode(plane)])
        image["PixelData"].is_undefined_length = True
        image.file_meta.TransferSyntaxUID = syntax
        image.save_as(folder / name)
    np.testing.assert_array_equal(values(read(folder)), pixels)


def test_a_deflated_file_is_read(tmp_path):
    folder = series(tmp_path / "a", numbered(3), names=list("abc"))
    for name in "abc":
        image = pydicom.dcmread(folder / name)
        image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        image.save_as(folder / name)
    np.testing.assert_array_equal(values(read(folder)), numbered(3))


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_jpeg_ls_lossless.dcm",
        "JPGExtended.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_RLE.dcm",
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
    ],
)
def test_the_decoders_are_installed(tmp_path, name):
    shutil.copy(TESTS / name, tmp_path)
    image = pydicom.dcmread(TESTS / name)
    colour = image.SamplesPerPixel == 3
    case = read(tmp_path, *(("red", "green", "blue") if colour else ()))
    found = np.stack([channel.pixels[0] for channel in case.channels], axis=-1)
    np.testing.assert_array_equal(found.squeeze(), pixel_array(image))


def test_a_palette_is_colour(tmp_path):
    shutil.copy(TESTS / "examples_palette.dcm", tmp_path)
    with pytest.raises(VolumeInvalid, match="is coloured: name three channels"):
        read(tmp_path)
    assert len(read(tmp_path, "red", "green", "blue").channels) == 3


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"Rows": 65535, "Columns": 65535}, "claims 65535 × 65535 pixels"),
        ({"Rows": 8000, "Columns": 8000}, "it is cut: 60 bytes of 128000000"),
        ({"NumberOfFrames": 2**31 - 1}, "it is cut: 60 bytes"),
        ({"SamplesPerPixel": 3, "NumberOfFrames": 10_000_000}, "it is cut"),
    ],
)
def test_a_header_that_claims_gigabytes_costs_nothing(tmp_path, elements, message):
    folder = series(tmp_path / "a", numbered(), **elements)
    tracemalloc.start()
    with pytest.raises(VolumeInvalid, match=message):
        read(folder)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 * 2**20


def test_nor_does_a_length_or_a_codestream_that_claims_them(tmp_path):
    folder = series(tmp_path / "a", numbered(3, 64, 64), names=list("abc"))
    for name in "abc":
        image = pydicom.dcmread(folder / name)
        image.compress(JPEG2000Lossless, generate_instance_uid=False)
        image.save_as(folder / name)
    body = bytearray((folder / "b").read_bytes())
    at = body.index(b"\xff\x4f\xff\x51") + 8
    body[at : at + 8] = (60_000).to_bytes(4, "big") * 2
    (folder / "b").write_bytes(bytes(body))
    body = bytearray((folder / "c").read_bytes())
    at = body.index(b"\x28\x00\x03\x01") if b"\x28\x00\x03\x01" in body else 400
    body[at + 4 : at + 12] = b"UN\0\0\xf0\xff\xff\xff"
    (folder / "c").write_bytes(bytes(body))
    tracemalloc.start()
    found = data_set(tmp_path)
    case = found.cases[0].read()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 * 2**20
    said = "\n".join((case.left_out | found.left_out).values())
    assert len(case.left_out | found.left_out) == 2
    assert "its compressed pixels are 60000 × 60000, and its header says 64 × 64" in said


def test_nothing_is_said_aloud(tmp_path, caplog, recwarn):
    for name in ("badVR.dcm", "MR_small.dcm", "JPEG-lossy.dcm", "meta_missing_tsyntax.dcm"):
        shutil.copy(TESTS / name, tmp_path)
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for case in data_set(tmp_path).cases:
            with contextlib.suppress(VolumeInvalid):
                case.read()
    assert (caplog.text, list(recwarn)) == ("", [])


def test_an_image_says_its_uids_and_nothing_of_its_patient(tmp_path):
    uids = [generate_uid() for _ in range(3)]
    folder = series(tmp_path / "a", numbered(3), SOPInstanceUID=uids, KVP=120, Modality="CT")
    source = read(folder).source
    assert source["kind"], source["modality"] == ("dicom", "CT")
    assert source["sop_class"] == "1.2.840.10008.5.1.4.1.1.2"
    assert source["study"] == source["series"] == source["frame_of_reference"]
    assert source["instances"] == [[n, uid, None] for n, uid in enumerate(uids)]
    assert source["acquisition"] == {"PixelSpacing": [0.75, 0.5], "KVP": 120}


def test_a_deflated_file_need_not_say_where_its_elements_begin(tmp_path):
    pixels = numbered()
    series(tmp_path / "a", pixels)
    for path in (tmp_path / "a").iterdir():
        image = pydicom.dcmread(path)
        image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        image.save_as(path, enforce_file_format=True)
        body = path.read_bytes()
        # Without the length of group 2, its first element.
        path.write_bytes(body[:132] + body[144:])
    np.testing.assert_array_equal(values(read(tmp_path)), pixels)
