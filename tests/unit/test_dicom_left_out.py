"""DICOM files that are left out by name: odd, damaged, copied, and no images."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, generate_uid

from app.core.errors import VolumeInvalid
from tests.unit.dicom_files import SAGITTAL, data_set, numbered, read, series

TESTS = Path(pydicom.__file__).parent / "data" / "test_files"


def shape(case):
    return case.channels[0].pixels.shape


def told(found):
    """What a case or a data set leaves out, by the file's name."""
    return {Path(file).name: reason for file, reason in found.left_out.items()}


def test_a_scout_is_left_out_and_named(tmp_path):
    uid = generate_uid()
    series(tmp_path / "a", numbered(5), uid=uid)
    series(tmp_path / "a", numbered(1), SAGITTAL, uid=uid, names=["scout.dcm"])
    case = read(tmp_path)
    assert shape(case)[0] == 5
    assert told(case) == {
        "scout.dcm": "it lies in another plane than the 5 other images of its series: a scout?"
    }


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Rows": [6, 6, 5, 6, 6]}, "it has 5 × 5 pixels, unlike the 4 other images"),
        ({"PixelSpacing": [[1, 1], [1, 1], [1, 2], [1, 1], [1, 1]]}, "spaced unlike those"),
        ({"PixelSpacing": [[1, 1], [1, 1], [1, -1], [1, 1], [1, 1]]}, "PixelSpacing is not above"),
        ({"RescaleSlope": [1, 1, 0, 1, 1]}, "RescaleSlope is 0"),
        ({"ImagePositionPatient": [None, None, "", None, None]}, "it says no position"),
    ],
)
def test_one_odd_image_is_left_out_by_name_and_its_place_stays_empty(tmp_path, elements, reason):
    if "ImagePositionPatient" in elements:
        z = [[0, 0, 3 * n] for n in range(5)]
        elements = {"ImagePositionPatient": [*z[:2], "", *z[3:]]}
    names = [f"{n}.dcm" for n in range(5)]
    series(tmp_path / "a", numbered(5), names=names, **elements)
    found = data_set(tmp_path)
    case = found.cases[0].read()
    assert reason in (told(case) | told(found))["2.dcm"]
    assert case.indices == (0, 1, 3, 4)
    assert "place 2 is empty" in case.warnings[0]


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"ImageType": "ORIGINAL\\PRIMARY\\M\\MOSAIC"}, "a mosaic of many slices in one image"),
        ({"PhotometricInterpretation": "CMYK"}, "PhotometricInterpretation is missing, or of a"),
        ({"PhotometricInterpretation": None}, "PhotometricInterpretation is missing"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6"}, "holds tiles of a slide"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1"}, "Presentation State Storage is no image"),
        ({"SOPClassUID": None, "Modality": "RTDOSE"}, "it is a dose by its modality"),
        ({"InstanceNumber": 3, "Columns": 0}, "Rows, Columns, SamplesPerPixel"),
    ],
)
def test_what_is_read_by_nobody_is_refused_in_words(tmp_path, elements, message):
    folder = series(tmp_path / "a", numbered(2), **elements)
    with pytest.raises(VolumeInvalid, match=message):
        read(folder)


def test_a_film_is_refused(tmp_path):
    folder = series(tmp_path / "a", numbered(1), names=["a"])
    image = pydicom.dcmread(folder / "a")
    image.NumberOfFrames = 30
    image.PixelData = encapsulate([b"\0\0\1\xb3" * 20])
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = MPEG2MPML
    image.save_as(folder / "a")
    with pytest.raises(VolumeInvalid, match=r"it is a film \(MPEG2"):
        read(folder)


@pytest.mark.parametrize("body", [b"", b"\0" * 400, "cut", "header", "noise", "text"])
def test_a_file_that_cannot_be_read_stops_nothing(tmp_path, body):
    folder = series(tmp_path / "a", numbered(5), names=[f"{n}.dcm" for n in range(5)])
    whole = (folder / "2.dcm").read_bytes()
    damaged = {
        "cut": whole[:-20],
        "header": whole[:200],
        "noise": whole[:300] + bytes(range(256)) * 2 + whole[500:],
        "text": b"These are not the slices you are looking for.",
    }.get(body, body)
    (folder / "2.dcm").write_bytes(damaged)
    found = data_set(tmp_path)
    assert list(told(found)) == ["2.dcm"]
    assert found.cases[0].read().indices == (0, 1, 3, 4)


def test_a_slice_that_cannot_be_decoded_is_left_out_by_name(tmp_path):
    names = [f"{n}.dcm" for n in range(5)]
    folder = series(tmp_path / "a", numbered(5, 64, 64), names=names)
    for name in names:
        image = pydicom.dcmread(folder / name)
        image.compress(pydicom.uid.RLELossless)
        image.save_as(folder / name)
    body = bytearray((folder / "2.dcm").read_bytes())
    at = body.index(b"\xfe\xff\x00\xe0", body.index(b"\xe0\x7f\x10\x00") + 20) + 8
    body[at : at + 64] = b"\xff" * 64
    (folder / "2.dcm").write_bytes(bytes(body))
    case = read(tmp_path)
    assert "RLE Lossless" in told(case)["2.dcm"]
    assert case.indices == (0, 1, 3, 4)


def test_a_file_without_preamble_is_read_like_the_others(tmp_path):
    folder = series(tmp_path / "a", numbered(5), names=[f"{n}.dcm" for n in range(5)])
    bare = pydicom.dcmread(folder / "3.dcm")
    pydicom.dcmwrite(folder / "3.dcm", bare, implicit_vr=False, little_endian=True)
    (folder / "3.dcm").write_bytes((folder / "3.dcm").read_bytes()[132:])
    case = read(tmp_path)
    np.testing.assert_array_equal(case.channels[0].pixels, numbered(5))
    assert not case.warnings


def test_copies_are_left_out_and_named(tmp_path):
    folder = series(tmp_path / "a", numbered(4), names=[f"{n}.dcm" for n in range(4)])
    shutil.copy(folder / "1.dcm", folder / "1 copy.dcm")
    other = pydicom.dcmread(folder / "2.dcm")
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    other.save_as(folder / "2 again.dcm")
    shutil.copytree(folder, tmp_path / "b")
    case = read(tmp_path)
    np.testing.assert_array_equal(case.channels[0].pixels, numbered(4))
    assert len(case.left_out) == 8
    assert all(reason.startswith("it is a copy of ") for reason in case.left_out.values())


def test_two_images_of_one_name_that_differ_are_no_copies(tmp_path):
    z = [[0, 0, 3 * n] for n in (0, 1, 2, 2)]
    uids = ["1.2.1", "1.2.2", "1.2.3", "1.2.3"]
    series(tmp_path / "a", numbered(4), ImagePositionPatient=z, SOPInstanceUID=uids)
    with pytest.raises(VolumeInvalid, match="two images at one place"):
        read(tmp_path)


def test_what_is_no_image_is_left_out_by_its_class(tmp_path):
    folder = series(tmp_path / "a", numbered())
    for name in ("liver_1frame.dcm", "rtdose_1frame.dcm", "reportsi.dcm", "rtstruct.dcm"):
        shutil.copy(TESTS / name, folder / name)
    shutil.copy(TESTS / "dicomdirtests" / "DICOMDIR", tmp_path / "DICOMDIR")
    (tmp_path / "README").write_text("Notes of somebody")
    found = data_set(tmp_path)
    assert [case.name for case in found.cases] == ["a"]
    assert told(found) == {
        "liver_1frame.dcm": "Segmentation Storage is no image",
        "rtdose_1frame.dcm": "RT Dose Storage is no image",
        "reportsi.dcm": "Basic Text SR Storage is no image",
        "rtstruct.dcm": "RT Structure Set Storage is no image",
        "README": "it is no DICOM file",
    }


def test_a_folder_without_images_says_what_is_there(tmp_path):
    shutil.copy(TESTS / "liver_1frame.dcm", tmp_path)
    with pytest.raises(VolumeInvalid, match=r"liver_1frame\.dcm: Segmentation Storage is no image"):
        data_set(tmp_path)
    with pytest.raises(VolumeInvalid, match="there are no DICOM files"):
        data_set(series(tmp_path / "b", numbered(0)))
