"""Piles of DICOM files: which cases they hold, what is left out, what they are called."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from app.core.errors import VolumeInvalid
from app.formats.layout import find_layout
from tests.unit.dicom_files import AXIAL, SAGITTAL, data_set, numbered, read, series

TESTS = Path(pydicom.__file__).parent / "data" / "test_files"


def shape(case):
    return case.channels[0].pixels.shape


def told(found):
    """What a case or a data set leaves out, by the file's name."""
    return {Path(file).name: reason for file, reason in found.left_out.items()}


def test_series_are_found_at_any_depth_whatever_the_folders(tmp_path):
    first, second = generate_uid(), generate_uid()
    z = [[0, 0, 3 * n] for n in range(4)]
    # One series in two folders, and another that lies between its files.
    series(tmp_path / "a" / "x", numbered(2), uid=first, ImagePositionPatient=z[:2])
    series(tmp_path / "a" / "y", numbered(2) + 60, uid=first, ImagePositionPatient=z[2:])
    series(tmp_path / "a" / "y", numbered(3, 4), uid=second, SeriesNumber=7)
    found = {case.name: case.read() for case in data_set(tmp_path).cases}
    assert {name: shape(case) for name, case in found.items()} == {"a": (4, 6, 5), "a_y": (3, 4, 5)}
    np.testing.assert_array_equal(found["a"].channels[0].pixels, numbered(4))


def test_names_are_the_way_from_the_folder_and_never_words_of_a_header(tmp_path):
    words = {"SeriesDescription": "Somebody^Real", "PatientName": "Somebody^Real"}
    for patient in ("patA", "patB"):
        series(tmp_path / patient / "SE000001", numbered(3), **words)
    for number in (2, 10):
        series(tmp_path / "patC", numbered(3), SeriesNumber=number, **words)
    uids = [series_ for series_ in ("1.2.3", "1.2.4")]
    for uid in uids:
        series(tmp_path / "patD", numbered(3), uid=uid, SeriesNumber=1, **words)
    names = [case.name for case in data_set(tmp_path).cases]
    assert names[:4] == ["patA_SE000001", "patB_SE000001", "patC_s2", "patC_s10"]
    assert [name.split("_s")[0] for name in names[4:]] == ["patD", "patD"]
    assert names == [case.name for case in data_set(tmp_path).cases]


def test_files_of_a_folder_without_the_tag_are_one_series(tmp_path):
    series(tmp_path / "a", numbered(3), SeriesInstanceUID=None)
    series(tmp_path / "b", numbered(5), SeriesInstanceUID=None)
    assert [(c.name, shape(c.read())[0]) for c in data_set(tmp_path).cases] == [("a", 3), ("b", 5)]


@pytest.mark.parametrize(
    ("elements", "names"),
    [
        ({"EchoNumbers": [1] * 4 + [2] * 4}, ["a_echo1", "a_echo2"]),
        ({"EchoTime": [9.5] * 4 + [80] * 4}, ["a_echo1", "a_echo2"]),
        ({"TemporalPositionIdentifier": [2] * 4 + [10] * 4}, ["a_time1", "a_time2"]),
        ({"AcquisitionNumber": [3] * 4 + [1] * 4}, ["a_acquisition1", "a_acquisition2"]),
        ({"ImageType": ["M\\IP"] * 4 + ["P\\IP"] * 4}, ["a_type1", "a_type2"]),
        ({"TriggerTime": [0] * 4 + [33.5] * 4}, ["a_phase1", "a_phase2"]),
        # A number that every image has of its own tells nothing apart: the echo does.
        (
            {"EchoNumbers": [1] * 4 + [2] * 4, "AcquisitionNumber": list(range(8))},
            ["a_echo1", "a_echo2"],
        ),
    ],
)
def test_two_images_at_each_place_are_told_apart_by_their_headers(tmp_path, elements, names):
    z = [[0, 0, 3 * n] for n in range(4)] * 2
    series(tmp_path / "a", numbered(8), ImagePositionPatient=z, **elements)
    found = {case.name: case.read() for case in data_set(tmp_path).cases}
    assert sorted(found) == names
    stored = [case.channels[0].pixels for case in found.values()]
    halves = numbered(8)[:4], numbered(8)[4:]
    assert all(any(np.array_equal(one, half) for half in halves) for one in stored)
    assert not any(case.warnings for case in found.values())


@pytest.mark.parametrize(
    "elements", [{}, {"AcquisitionNumber": list(range(8))}, {"InstanceNumber": list(range(8))}]
)
def test_what_nothing_tells_apart_is_refused(tmp_path, elements):
    z = [[0, 0, 3 * n] for n in range(4)] * 2
    series(tmp_path / "a", numbered(8), ImagePositionPatient=z, **elements)
    with pytest.raises(VolumeInvalid, match=r"a: two images at one place: \d+\.dcm and \d+\.dcm"):
        read(tmp_path)


def test_two_slices_of_a_number_are_no_reason_to_cut_an_uneven_stack(tmp_path):
    z = [[0, 0, n] for n in (0, 3, 6, 10)]
    series(tmp_path / "a", numbered(), ImagePositionPatient=z, AcquisitionNumber=[1, 1, 2, 2])
    with pytest.raises(VolumeInvalid, match="equal distances"):
        read(tmp_path)


def test_echoes_and_times_together(tmp_path):
    z = [[0, 0, 3 * (n % 3)] for n in range(12)]
    series(
        tmp_path / "a",
        numbered(12),
        ImagePositionPatient=z,
        EchoNumbers=[n // 6 for n in range(12)],
        TemporalPositionIdentifier=[n // 3 % 2 for n in range(12)],
    )
    names = [case.name for case in data_set(tmp_path).cases]
    assert names == ["a_echo1_time1", "a_echo1_time2", "a_echo2_time1", "a_echo2_time2"]
    assert all(shape(case.read())[0] == 3 for case in data_set(tmp_path).cases)


def test_stacks_in_several_planes_are_cases(tmp_path):
    uid = generate_uid()
    series(tmp_path / "a", numbered(5), uid=uid)
    series(tmp_path / "a", numbered(4), SAGITTAL, uid=uid)
    found = {case.name: case.read() for case in data_set(tmp_path).cases}
    assert {name: shape(case)[0] for name, case in found.items()} == {"a_axial": 5, "a_sagittal": 4}


def test_projections_from_all_sides_are_no_stack(tmp_path):
    shutil.copytree(TESTS / "dicomdirtests" / "98892003" / "MR700", tmp_path / "MR700")
    cases = [case.read() for case in data_set(tmp_path).cases]
    assert [shape(case)[0] for case in cases] == [1] * 7


def test_gaps_of_whole_slices_stay_empty_and_are_named(tmp_path):
    z = [0, 3, 6, 15, 18, 24]
    names = [f"{n}.dcm" for n in range(6)]
    series(tmp_path / "a", numbered(6), names=names, ImagePositionPatient=[[0, 0, n] for n in z])
    case = read(tmp_path)
    assert case.indices == (0, 1, 2, 5, 6, 8)
    for n, index in enumerate(case.indices):
        assert case.geometry.position(0, 0, index)[2] == pytest.approx(z[n])
    first, second = case.warnings
    assert "places 3 and 4 are empty" in first
    assert "between 2.dcm and 3.dcm" in first
    assert "place 7 is empty" in second


@pytest.mark.parametrize("z", [[0, 3, 6, 10], [0, 3, 6, 7, 10], [0, 3, 6, 1e6], [0, 1, 3, 4.5]])
def test_other_gaps_are_refused(tmp_path, z):
    series(tmp_path / "a", numbered(len(z)), ImagePositionPatient=[[0, 0, n] for n in z])
    with pytest.raises(VolumeInvalid, match=r"equal distances|belong to different stacks"):
        read(tmp_path)


def test_without_places_and_numbers_names_in_natural_order_are_a_guess(tmp_path):
    names = [f"IM{n}" for n in range(1, 12)]
    none = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
    series(tmp_path / "a", numbered(11), names=names, InstanceNumber=None, **none)
    case = read(tmp_path)
    np.testing.assert_array_equal(case.channels[0].pixels, numbered(11))
    (warning,) = case.warnings
    assert "the order is a guess by the names of the files" in warning
    series(tmp_path / "b", numbered(4), InstanceNumber=[4, 1, 3, 2], **none)
    numbered_case = data_set(tmp_path).cases[1].read()
    np.testing.assert_array_equal(numbered_case.channels[0].pixels, numbered(4)[[1, 3, 2, 0]])
    assert "in the order of InstanceNumber" in numbered_case.warnings[0]


def test_a_tag_that_is_empty_counts_as_absent(tmp_path):
    empty = {"RescaleSlope": "", "RescaleIntercept": "", "PixelSpacing": ""}
    series(tmp_path / "a", numbered(), **empty)
    case = read(tmp_path)
    assert (case.channels[0].rescale[0].slope, case.channels[0].rescale[0].intercept) == (1, 0)
    assert case.geometry is None
    assert "PixelSpacing is missing" in case.warnings[0]


def test_the_layout_knows_its_folders(tmp_path):
    layout = find_layout("dicom")
    assert layout.detect(series(tmp_path / "a", numbered())).certainty == 3
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.txt").write_text("no image")
    assert layout.detect(tmp_path / "b") is None


def test_two_heaps_of_one_series_uid_are_told_apart_by_their_folders(tmp_path):
    for patient in ("a", "b"):
        series(tmp_path / patient, numbered(3) + (patient == "b"), uid="1.2.3.4", orientation=AXIAL)
    names = [case.name for case in data_set(tmp_path).cases]
    assert names == ["a", "b"]
