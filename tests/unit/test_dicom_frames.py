"""Files of many frames: enhanced images by what is said of each, others in their order."""

import shutil
from pathlib import Path

import highdicom as hd
import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import JPEGLSLossless, generate_uid

from app.core.errors import VolumeInvalid
from tests.unit.dicom_files import (
    AXIAL,
    CORONAL,
    OBLIQUE,
    RNG,
    data_set,
    images_of,
    numbered,
    read,
    series,
    values,
)

TESTS = Path(pydicom.__file__).parent / "data" / "test_files"


def enhanced(folder, pixels, orientation=AXIAL, sop_class="1.2.840.10008.5.1.4.1.1.2.1", **own):
    """One file of many frames; ``own``: a value for each frame, by what it is."""
    positions = own.pop("positions", [[1, 2, 3 * n] for n in range(len(pixels))])
    image = pydicom.dcmread(next(series(folder / "one", pixels[:1], orientation).iterdir()))
    shutil.rmtree(folder / "one")
    for gone in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(image, gone)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = sop_class
    image.NumberOfFrames = len(pixels)
    image.PixelData = pixels.tobytes()
    shared = Dataset()
    measures, turned = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.75, 0.5], 3
    turned.ImageOrientationPatient = list(orientation)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [turned]
    image.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for n in range(len(pixels)):
        frame, place, content, change, echo = (Dataset() for _ in range(5))
        place.ImagePositionPatient = positions[n]
        content.TemporalPositionIndex = own.get("time", [1] * len(pixels))[n]
        content.StackID = "1"
        change.RescaleSlope = own.get("slope", [1] * len(pixels))[n]
        change.RescaleIntercept, change.RescaleType = -10, "HU"
        echo.EffectiveEchoTime = own.get("echo", [1.5] * len(pixels))[n]
        frame.PlanePositionSequence, frame.FrameContentSequence = [place], [content]
        frame.PixelValueTransformationSequence, frame.MREchoSequence = [change], [echo]
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = frames
    folder.mkdir(exist_ok=True)
    image.save_as(folder / "enhanced.dcm")
    return image


def test_an_enhanced_image_is_a_stack_by_its_frames(tmp_path):
    pixels = numbered(5)
    order = [3, 0, 4, 1, 2]
    slopes = [0.5, 1, 2, 4, 8]
    image = enhanced(tmp_path / "a", pixels, positions=[[1, 2, 3 * n] for n in order], slope=slopes)
    case = read(tmp_path)
    expected = pixels * np.reshape(slopes, (5, 1, 1)) - 10.0
    np.testing.assert_array_equal(values(case), expected[np.argsort(order)])
    np.testing.assert_allclose(case.geometry.position(0, 0, 4), (-1, -2, 12))
    np.testing.assert_allclose(case.geometry.affine[:3, :3], np.diag([-0.5, -0.75, 3]))
    places = [(n, image.SOPInstanceUID, int(k) + 1) for n, k in enumerate(np.argsort(order))]
    assert [tuple(one) for one in case.source["instances"]] == places
    assert case.source["acquisition"]["SliceThickness"] == 3


@pytest.mark.parametrize("key", ["echo", "time"])
def test_frames_of_an_enhanced_image_are_told_apart(tmp_path, key):
    positions = [[0, 3 * (n % 4), 0] for n in range(8)]
    values_ = {key: [1, 1, 1, 1, 2, 2, 2, 2]}
    enhanced(
        tmp_path / "a",
        numbered(8),
        CORONAL,
        "1.2.840.10008.5.1.4.1.1.4.1",
        positions=positions,
        **values_,
    )
    found = data_set(tmp_path).cases
    assert [case.name for case in found] == [f"a_{key}1", f"a_{key}2"]
    assert all(case.read().depth == 4 for case in found)


def test_an_enhanced_copy_of_a_series_is_the_same_case(tmp_path):
    pixels = RNG.integers(0, 4000, (6, 20, 16)).astype(np.uint16)
    series(
        tmp_path / "a",
        pixels,
        OBLIQUE,
        RescaleSlope=[1, 2, 3] * 2,
        SeriesNumber=1,
        RescaleType="HU",
    )
    plain = read(tmp_path)
    images = images_of(tmp_path / "a")
    for image in images:
        image.ImageType, image.AcquisitionNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], 1
        image.Manufacturer, image.PositionReferenceIndicator, image.KVP = "somebody", "", 120
        image.StudyDate = image.ContentDate = "20200101"
        image.StudyTime = image.ContentTime = "101010"
    copy = hd.legacy.LegacyConvertedEnhancedCTImage(images, generate_uid(), 2, generate_uid(), 1)
    copy.save_as(tmp_path / "copy.dcm")
    shutil.rmtree(tmp_path / "a")
    case = read(tmp_path)
    np.testing.assert_array_equal(values(case), values(plain))
    np.testing.assert_allclose(case.geometry.affine, plain.geometry.affine)
    assert case.source["acquisition"]["KVP"] == 120


def test_descriptions_that_do_not_fit_the_frames_are_refused(tmp_path):
    image = enhanced(tmp_path / "a", numbered(5))
    image.NumberOfFrames = 4
    image.save_as(tmp_path / "a" / "enhanced.dcm")
    with pytest.raises(VolumeInvalid, match="4 frames, and 5 descriptions"):
        read(tmp_path)


@pytest.mark.parametrize("described", [True, False])
def test_values_may_be_said_for_all_frames_together(tmp_path, described):
    image = enhanced(tmp_path / "a", numbered(4))
    change = Dataset()
    change.RescaleSlope, change.RescaleIntercept = 2, 5
    for frame in image.PerFrameFunctionalGroupsSequence:
        del frame.PixelValueTransformationSequence
    if described:
        image.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [change]
    else:
        image.RescaleSlope, image.RescaleIntercept = 2, 5
    image.save_as(tmp_path / "a" / "enhanced.dcm")
    np.testing.assert_array_equal(values(read(tmp_path)), numbered(4) * 2.0 + 5)
    del image.PerFrameFunctionalGroupsSequence
    image.save_as(tmp_path / "a" / "enhanced.dcm")
    case = read(tmp_path)
    np.testing.assert_array_equal(values(case), numbered(4) * 2.0 + 5)
    assert case.geometry is None


@pytest.mark.parametrize("fragments", [1, 2, None])
def test_compressed_frames_are_found_in_their_fragments(tmp_path, fragments):
    pixels = RNG.integers(0, 4096, (4, 32, 40)).astype(np.uint16)
    image = enhanced(tmp_path / "a", pixels)
    streams = [imagecodecs.jpegls_encode(plane) for plane in pixels]
    if fragments is None:
        table = encapsulate_extended(streams)
        image.PixelData, image.ExtendedOffsetTable, image.ExtendedOffsetTableLengths = table
    else:
        image.PixelData = encapsulate(streams, fragments_per_frame=fragments)
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = JPEGLSLossless
    image.save_as(tmp_path / "a" / "enhanced.dcm")
    np.testing.assert_array_equal(values(read(tmp_path)), pixels - 10.0)


def test_a_film_of_frames_is_in_its_order_and_its_place_unknown(tmp_path):
    shutil.copy(TESTS / "examples_ybr_color.dcm", tmp_path)
    case = read(tmp_path, "red", "green", "blue")
    assert (case.depth, case.geometry) == (30, None)
    assert "place is unknown" in case.warnings[0]
    assert [one[2] for one in case.source["instances"]] == list(range(1, 31))


def test_frames_that_run_along_two_things_are_refused(tmp_path):
    folder = series(tmp_path / "a", numbered(1), names=["a"])
    image = pydicom.dcmread(folder / "a")
    image.NumberOfFrames, image.PixelData = 4, image.PixelData * 4
    image.EnergyWindowVector, image.SliceVector = [1, 1, 2, 2], [1, 2, 1, 2]
    image.save_as(folder / "a")
    with pytest.raises(VolumeInvalid, match="its frames run along several"):
        read(tmp_path)
