"""SEG and RTSTRUCT as the masks of the series that they refer to."""

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from app.core.errors import VolumeInvalid
from app.formats.dicom.contours import filled
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
)

NAMES = ("liver", "Tumour")


def write_seg(path, images, classes, names=NAMES, kind="BINARY", **options):
    """classes: (D, H, W) numbers of segments, or (D, H, W, segments) planes."""
    segments = [
        hd.seg.SegmentDescription(
            segment_number=n,
            segment_label=name,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for n, name in enumerate(names, 1)
    ]
    seg = hd.seg.Segmentation(
        source_images=images,
        pixel_array=classes,
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="somebody",
        manufacturer_model_name="something",
        software_versions="1",
        device_serial_number="1",
        **options,
    )
    seg.save_as(path)
    return seg


def marks(depth=4, height=6, width=5):
    found = RNG.integers(0, 3, (depth, height, width)).astype(np.uint8)
    found[0] = 0
    return found


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, OBLIQUE])
def test_a_seg_becomes_the_masks_of_its_series(tmp_path, kind, orientation):
    folder = series(tmp_path / "a", numbered(), orientation)
    classes = marks()
    write_seg(tmp_path / "seg.dcm", images_of(folder), classes, kind=kind)
    found = data_set(tmp_path, masks=True)
    assert found.classes == ["background", "liver", "Tumour"]
    case = found.cases[0].read()
    np.testing.assert_array_equal(case.classes, classes)
    np.testing.assert_array_equal(case.channels[0].pixels, numbered())
    (warning,) = case.warnings
    assert "nothing is marked in seg.dcm on 1 of 4 slices, which are taken as background" in warning


def test_segments_are_classes_by_their_names_over_all_cases(tmp_path):
    for name, segments in (("a", ("liver", "Tumour")), ("b", ("tumour", "kidney"))):
        folder = series(tmp_path / name, numbered())
        write_seg(tmp_path / f"{name}.dcm", images_of(folder), marks(), segments)
    found = data_set(tmp_path, masks=True)
    assert found.classes == ["background", "liver", "Tumour", "kidney"]
    first, second = (case.read().classes for case in found.cases)
    assert (set(np.unique(first)), set(np.unique(second))) == ({0, 1, 2}, {0, 2, 3})


def test_a_seg_of_other_pixels_or_another_place_is_refused(tmp_path):
    folder = series(tmp_path / "a", numbered())
    write_seg(tmp_path / "seg.dcm", images_of(folder), marks())
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    groups = seg.PerFrameFunctionalGroupsSequence
    for frame in groups:
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        position[0] = float(position[0]) + 0.25
    seg.save_as(tmp_path / "seg.dcm")
    with pytest.raises(VolumeInvalid, match=r"seg\.dcm frame 1 lies up to 0.5 pixels or slices"):
        read(tmp_path, masks=True)
    for frame in groups:
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        position[0] = float(position[0]) - 0.25
        position[2] = float(position[2]) + 250
    seg.save_as(tmp_path / "seg.dcm")
    with pytest.raises(VolumeInvalid, match="where the series has no image"):
        read(tmp_path, masks=True)
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1, 1]
    seg.save_as(tmp_path / "seg.dcm")
    with pytest.raises(VolumeInvalid, match="turned or spaced otherwise"):
        read(tmp_path, masks=True)


def test_segments_that_overlap_are_refused_by_name(tmp_path):
    folder = series(tmp_path / "a", numbered())
    planes = np.zeros((4, 6, 5, 2), dtype=np.uint8)
    planes[1, :3, :, 0], planes[1, 2:, :, 1] = 1, 1
    write_seg(tmp_path / "seg.dcm", images_of(folder), planes)
    with pytest.raises(VolumeInvalid, match="'Tumour' and 'liver' overlap in 5 pixels"):
        read(tmp_path, masks=True)


def test_several_segs_of_one_series_have_to_be_of_different_segments(tmp_path):
    folder = series(tmp_path / "a", numbered())
    images, classes = images_of(folder), marks()
    write_seg(tmp_path / "1.dcm", images, (classes == 1).astype(np.uint8), ["liver"])
    write_seg(tmp_path / "2.dcm", images, (classes == 2).astype(np.uint8), ["tumour"])
    np.testing.assert_array_equal(read(tmp_path, masks=True).classes, classes)
    write_seg(tmp_path / "3.dcm", images, (classes == 2).astype(np.uint8), ["Tumour"])
    with pytest.raises(VolumeInvalid, match="both hold the segment 'Tumour'"):
        read(tmp_path, masks=True)


def test_fractions_are_refused_unless_they_are_whole(tmp_path):
    folder = series(tmp_path / "a", numbered())
    classes = marks()
    options = {"fractional_type": "PROBABILITY", "max_fractional_value": 100}
    planes = np.stack([classes == 1, classes == 2], axis=-1).astype(np.float32)
    images = images_of(folder)
    write_seg(tmp_path / "seg.dcm", images, planes, kind="FRACTIONAL", **options)
    np.testing.assert_array_equal(read(tmp_path, masks=True).classes, classes)
    write_seg(tmp_path / "seg.dcm", images, planes * 0.4, kind="FRACTIONAL", **options)
    with pytest.raises(VolumeInvalid, match="fractions of pixels"):
        read(tmp_path, masks=True)


def test_a_series_that_nothing_marks_and_marks_of_nothing(tmp_path):
    folder = series(tmp_path / "a", numbered())
    series(tmp_path / "b", numbered())
    write_seg(tmp_path / "seg.dcm", images_of(folder), marks())
    other = series(tmp_path / "gone", numbered())
    write_seg(tmp_path / "other.dcm", images_of(other), marks())
    for path in other.iterdir():
        path.unlink()
    found = data_set(tmp_path, masks=True)
    assert found.left_out == {str(tmp_path / "other.dcm"): "it refers to no series of this folder"}
    assert found.cases[0].read().classes is not None
    with pytest.raises(VolumeInvalid, match="no segmentation or structure set of this folder"):
        found.cases[1].read()


def test_without_masks_a_seg_is_left_out(tmp_path):
    folder = series(tmp_path / "a", numbered())
    write_seg(tmp_path / "seg.dcm", images_of(folder), marks())
    found = data_set(tmp_path)
    assert found.cases[0].read().classes is None
    assert found.left_out[str(tmp_path / "seg.dcm")] == "Segmentation Storage is no image"


def test_a_seg_of_a_stack_with_a_gap_marks_the_right_slices(tmp_path):
    z = [[0, 0, 3 * n] for n in (0, 1, 4, 5)]
    folder = series(tmp_path / "a", numbered(), ImagePositionPatient=z)
    classes = marks()
    write_seg(tmp_path / "seg.dcm", images_of(folder), classes)
    case = read(tmp_path, masks=True)
    assert case.indices == (0, 1, 4, 5)
    np.testing.assert_array_equal(case.classes, classes)


def write_structures(path, images, regions, outline=()):
    """regions: by name a list of (number of the image, corners (N, 2) as column and row)."""
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    found.SOPInstanceUID = generate_uid()
    found.Modality = "RTSTRUCT"
    found.StructureSetROISequence, found.ROIContourSequence = [], []
    found.RTROIObservationsSequence = []
    for number, (name, contours) in enumerate(regions.items(), 1):
        roi, contour_set, kind = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        kind.ReferencedROINumber = number
        kind.RTROIInterpretedType = "EXTERNAL" if name in outline else "ORGAN"
        contour_set.ReferencedROINumber, contour_set.ContourSequence = number, []
        for image_number, corners in contours:
            image, contour, reference = images[int(image_number)], Dataset(), Dataset()
            reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
            along, down = np.reshape(image.ImageOrientationPatient, (2, 3)).astype(float)
            row, column = (float(v) for v in image.PixelSpacing)
            normal = np.cross(along, down) * (image_number % 1) * 2.5
            points = [
                np.array(image.ImagePositionPatient, float) + c * column * along + r * row * down
                for c, r in corners
            ]
            contour.ContourImageSequence = [reference]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{v:.8f}"[:16] for v in (points + normal).ravel()]
            contour_set.ContourSequence.append(contour)
        found.StructureSetROISequence.append(roi)
        found.ROIContourSequence.append(contour_set)
        found.RTROIObservationsSequence.append(kind)
    pydicom.dcmwrite(path, found, enforce_file_format=True)


SQUARE = [(0.6, 0.6), (3.4, 0.6), (3.4, 4.4), (0.6, 4.4)]


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, OBLIQUE])
def test_contours_become_masks_on_the_slices_that_they_lie_in(tmp_path, orientation):
    images = images_of(series(tmp_path / "a", numbered(), orientation))
    hole = [(1.6, 1.6), (2.4, 1.6), (2.4, 2.4), (1.6, 2.4)]
    write_structures(
        tmp_path / "rt.dcm",
        images,
        {
            "liver": [(1, SQUARE), (1, hole), (3, SQUARE)],
            "body": [(1, [(-9, -9), (99, -9), (99, 99), (-9, 99)])],
        },
        outline=("body",),
    )
    found = data_set(tmp_path, masks=True)
    assert found.classes == ["background", "liver"]
    case = found.cases[0].read()
    expected = np.zeros((4, 6, 5), dtype=np.uint8)
    expected[[1, 3], 1:5, 1:4] = 1
    expected[1, 2, 2] = 0
    np.testing.assert_array_equal(case.classes, expected)
    assert "the region 'body' is the outline of the whole body" in case.warnings[0]


def test_contours_between_slices_and_regions_that_overlap_are_refused(tmp_path):
    images = images_of(series(tmp_path / "a", numbered()))
    write_structures(tmp_path / "rt.dcm", images, {"liver": [(1.5, SQUARE)]})
    with pytest.raises(VolumeInvalid, match=r"'liver' has a contour 0\.5 slices beside any slice"):
        read(tmp_path, masks=True)
    write_structures(tmp_path / "rt.dcm", images, {"a": [(1, SQUARE)], "b": [(1, SQUARE)]})
    with pytest.raises(VolumeInvalid, match="'b' and 'a' overlap in 12 pixels"):
        read(tmp_path, masks=True)


def test_regions_that_share_an_edge_neither_overlap_nor_leave_a_seam():
    corners = RNG.uniform(1, 18, (7, 2)).round()
    left = [(0, 0), (9, 0), *sorted(map(tuple, corners), key=lambda c: c[1]), (9, 19), (0, 19)]
    right = [(19, 0), (9, 0), *sorted(map(tuple, corners), key=lambda c: c[1]), (9, 19), (19, 19)]
    both = filled(np.array(left, float), 19, 19).astype(int) + filled(
        np.array(right, float), 19, 19
    )
    assert (both == 1).all()
