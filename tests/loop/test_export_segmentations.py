"""DICOM segmentations out: their place, what they refer to, and whom they name."""

from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.pixels import encode
from app.core.prepared import prepare_mask
from app.core.splits import Split
from app.exporting import ExportOptions, export_project
from app.formats.writer import About, ExportedCase, Reading, Target, find_writer
from app.loop.access import Reader
from app.loop.chosen_masks import Selection
from app.loop.masks import submit_mask
from app.store import Role, Slice, utc_now
from tests.exports import (
    AXIAL,
    CORONAL,
    PRONE,
    SAGITTAL,
    dicom_series,
    keep,
    labels_of,
    make_project,
)
from tests.people import named_account

CLASSES = ("background", "tumour Ä", "cyst")


@pytest.fixture
def database(sqlite_database):
    make_project(sqlite_database, CLASSES)
    return sqlite_database


def export(database, tmp_path, format_, **options):
    out = tmp_path / "out" / format_
    return out, export_project(database, "brain", out, ExportOptions(format_, **options))


def class_map(segmentation, images):
    """What a segmentation says of each image, as class indices, by highdicom's own reading."""
    uids = [image.SOPInstanceUID for image in images]
    return segmentation.get_pixels_by_source_instance(
        uids, combine_segments=True, ignore_spatial_locations=True
    )


@pytest.mark.parametrize("format_", ["dicom-seg", "dicom-labelmap"])
@pytest.mark.parametrize(
    ("orientation", "step"),
    [
        (AXIAL, None),
        (CORONAL, None),
        (SAGITTAL, None),
        (PRONE, None),
        (AXIAL, (0, 0, 7.5)),
        (AXIAL, (0, 0.8, 2.4)),
    ],
)
def test_labels_lie_on_the_images_they_were_drawn_on(
    database, tmp_path, format_, orientation, step
):
    volume, images = dicom_series(tmp_path / "in" / "series", orientation, step)
    marks = labels_of(volume, 3)
    keep(database, "a", volume, marks)
    out, report = export(database, tmp_path, format_)
    assert (report.cases, report.masks, report.left_out) == (1, 4, {})
    found = hd.seg.segread(out / "segmentations" / "a.dcm")
    assert found.StudyInstanceUID == images[0].StudyInstanceUID
    assert found.FrameOfReferenceUID == images[0].FrameOfReferenceUID
    series = found.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == images[0].SeriesInstanceUID
    by_uid = {image.SOPInstanceUID: image for image in images}
    assert {i.ReferencedSOPInstanceUID for i in series.ReferencedInstanceSequence} == set(by_uid)
    # Frames lie where the images do that they refer to.
    for frame in found.PerFrameFunctionalGroupsSequence:
        item = frame.DerivationImageSequence[0].SourceImageSequence[0]
        image = by_uid[item.ReferencedSOPInstanceUID]
        assert item.ReferencedSOPClassUID == image.SOPClassUID
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, image.ImagePositionPatient, atol=1e-6)
    shared = found.SharedFunctionalGroupsSequence[0]
    cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    np.testing.assert_allclose(cosines, images[0].ImageOrientationPatient, atol=1e-9)
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.75, 0.5]
    ordered = [uid for _, uid, _ in volume.source["instances"]]
    np.testing.assert_array_equal(class_map(found, [by_uid[uid] for uid in ordered]), marks)
    described = [s.SegmentLabel for s in found.SegmentSequence if s.SegmentNumber]
    assert described == ["tumour Ä", "cyst"]


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL])
def test_a_volume_of_a_segmentation_is_that_of_the_series(database, tmp_path, orientation):
    volume, _ = dicom_series(tmp_path / "in" / "series", orientation)
    marks = labels_of(volume, 3)
    keep(database, "a", volume, marks)
    out, _ = export(database, tmp_path, "dicom-labelmap")
    found = hd.seg.segread(out / "segmentations" / "a.dcm").get_volume(combine_segments=True)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "in" / "series")))
    original = reader.Execute()
    assert found.array.shape == marks.shape
    for index in np.ndindex(found.array.shape):
        place = found.map_indices_to_reference(np.array([index]))[0]
        column, row, slice_ = original.TransformPhysicalPointToIndex(place.tolist())
        assert found.array[index] == marks[slice_, row, column]


@pytest.mark.parametrize("format_", ["dicom-seg", "dicom-labelmap"])
def test_what_nobody_has_drawn_has_no_frame_and_what_is_empty_has_one(database, tmp_path, format_):
    volume, images = dicom_series(tmp_path / "in" / "series")
    marks = labels_of(volume, 2) * 0
    marks[2, 1, 1] = 1
    keep(database, "a", volume, marks, unlabelled=[0, 3])
    out, _ = export(database, tmp_path, format_)
    found = pydicom.dcmread(out / "segmentations" / "a.dcm")
    seen = {
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for frame in found.PerFrameFunctionalGroupsSequence
    }
    assert seen == {images[n].SOPInstanceUID for n in (1, 2)}


def test_nobody_is_named_unless_the_original_is_shown(database, tmp_path):
    volume, _ = dicom_series(tmp_path / "in" / "series")
    keep(database, "a", volume, labels_of(volume))
    out, _ = export(database, tmp_path, "dicom-seg")
    path = out / "segmentations" / "a.dcm"
    for word in (b"Somebody", b"QX-9", b"19500101", b"ACC1"):
        assert word not in path.read_bytes()
    assert pydicom.dcmread(path).PatientIdentityRemoved == "YES"
    out, _ = export(database, tmp_path, "dicom-labelmap", source=tmp_path / "in")
    named = pydicom.dcmread(out / "segmentations" / "a.dcm")
    assert (named.PatientName, named.PatientID, named.PatientSex) == (
        "Somebody^Real",
        "QX-9",
        "F",
    )
    assert (named.StudyDate, named.AccessionNumber) == ("20200202", "ACC1")
    assert "PatientIdentityRemoved" not in named
    with pytest.raises(InvalidInput, match="names the patients of DICOM segmentations"):
        export(database, tmp_path, "nifti", source=tmp_path / "in")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VolumeInvalid, match=r"no image in .*empty is of its series"):
        export(database, tmp_path / "other", "dicom-seg", source=tmp_path / "empty")


def test_cases_of_other_origin_are_named_and_the_others_go(database, tmp_path):
    volume, _ = dicom_series(tmp_path / "in" / "series")
    marks = labels_of(volume)
    keep(database, "a", volume, marks)
    keep(database, "posted", replace(volume, geometry=None, source={}), marks)
    keep(database, "older", replace(volume, source={"kind": "dicom", "file": "x"}), marks)
    source = volume.source | {"instances": volume.source["instances"][:2]}
    keep(database, "lost", replace(volume, source=source), marks)
    _, report = export(database, tmp_path, "dicom-seg")
    assert report.cases == 1
    assert "did not come from DICOM" in report.left_out["posted"]
    assert "import the series again" in report.left_out["older"]
    assert "no image of the series is known for its slices [2, 3]" in report.left_out["lost"]


def test_frames_of_one_file_are_referred_to_by_number(database, tmp_path):
    volume, images = dicom_series(tmp_path / "in" / "series")
    enhanced = "1.2.840.10008.5.1.4.1.1.2.1"
    instances = [[n, images[0].SOPInstanceUID, 10 + n] for n in range(4)]
    source = volume.source | {"instances": instances, "sop_class": enhanced}
    keep(database, "a", replace(volume, source=source), labels_of(volume))
    out, _ = export(database, tmp_path, "dicom-labelmap")
    found = pydicom.dcmread(out / "segmentations" / "a.dcm")
    items = [
        frame.DerivationImageSequence[0].SourceImageSequence[0]
        for frame in found.PerFrameFunctionalGroupsSequence
    ]
    places = [
        frame.PlanePositionSequence[0].ImagePositionPatient[2]
        for frame in found.PerFrameFunctionalGroupsSequence
    ]
    numbers = [int(item.ReferencedFrameNumber) for item in items]
    assert sorted(zip(places, numbers, strict=True)) == [
        (-40.0, 10), (-37.5, 11), (-35.0, 12), (-32.5, 13),
    ]  # fmt: skip
    assert {item.ReferencedSOPClassUID for item in items} == {enhanced}
    (whole,) = found.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert whole.ReferencedSOPInstanceUID == images[0].SOPInstanceUID


@pytest.mark.parametrize("format_", ["dicom-seg", "dicom-labelmap"])
def test_a_single_image_without_a_frame_of_reference(database, tmp_path, format_):
    volume, images = dicom_series(tmp_path / "in" / "series", depth=1)
    volume = replace(volume, source=volume.source | {"frame_of_reference": None})
    marks = labels_of(volume, 3)
    keep(database, "a", volume, marks)
    out, _ = export(database, tmp_path, format_)
    found = hd.seg.segread(out / "segmentations" / "a.dcm")
    np.testing.assert_array_equal(class_map(found, images), marks)
    assert found.FrameOfReferenceUID


def test_a_series_without_names_is_named(database, tmp_path):
    volume, _ = dicom_series(tmp_path / "in" / "series")
    marks = labels_of(volume)
    for n, gone in enumerate(("study", "series", "sop_class")):
        keep(database, f"c{n}", replace(volume, source=volume.source | {gone: None}), marks)
    with pytest.raises(VolumeInvalid, match="c0: its series came without a study") as refused:
        export(database, tmp_path, "dicom-seg")
    assert str(refused.value).count("nothing can refer to it") == 3


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ({}, None),
        ({"models": (3, 5)}, ("models' suggestions", "3, 5")),
        ({"computed": True}, ("consensus of readers", None)),
    ],
)
def test_segments_say_what_helped_to_draw_them(tmp_path, reading, expected):
    volume, _ = dicom_series(tmp_path / "in" / "series")
    masks = tuple(encode(marks) for marks in labels_of(volume, 3))
    case = ExportedCase(
        name="a",
        split=Split.POOL,
        size=(6, 5),
        indices=(0, 1, 2, 3),
        channels=(),
        readings=(Reading(None, masks, **reading),),
        geometry=volume.geometry,
        source=volume.source,
    )
    target = Target(tmp_path / "out")
    find_writer("dicom-labelmap").open(target, About("brain", 1, CLASSES, ("image",))).add(case)
    (path,) = target.take_new()
    for segment in pydicom.dcmread(path).SegmentSequence[1:]:
        assert segment.SegmentAlgorithmType == ("SEMIAUTOMATIC" if expected else "MANUAL")
        if expected is not None:
            algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
            assert expected[0] in algorithm.AlgorithmName
            assert expected[1] in (None, algorithm.AlgorithmVersion)


def test_each_reader_has_a_segmentation_of_their_own(database, tmp_path):
    volume, _ = dicom_series(tmp_path / "in" / "series")
    keep(database, "a", volume)
    with database.writing() as session:
        slices = session.query(Slice).order_by(Slice.index).all()
        for n, name in enumerate(("ann", "bob")):
            account = named_account(session, name, Role.REVIEWER)
            pixels = np.zeros((6, 5), dtype=np.uint8)
            pixels[: n + 1] = n + 1
            drawn = prepare_mask(pixels, upload=encode(pixels))
            submit_mask(session, Reader(account), slices[n].id, drawn, utc_now())
            submit_mask(session, Reader(account), slices[2].id, drawn, utc_now())
    out, report = export(database, tmp_path, "dicom-seg", masks=Selection(all_readings=True))
    assert report.masks == 7
    frames = {str(path.relative_to(out)): pydicom.dcmread(path) for path in out.rglob("*.dcm")}
    labels, ann, bob = "segmentations/a.dcm", "readings/ann/a.dcm", "readings/bob/a.dcm"
    assert set(frames) == {labels, ann, bob}
    assert str(frames[bob].ContentCreatorName).startswith("bob")
    assert {s.SegmentAlgorithmType for s in frames[labels].SegmentSequence} == {"MANUAL"}
    assert frames[labels].SeriesInstanceUID != frames[ann].SeriesInstanceUID
