"""Label maps: whole numbers on the voxels of their image, or refused with both affines."""

import nibabel as nib
import numpy as np
import pytest

from app.core.errors import VolumeInvalid
from app.formats.layout import ReadOptions
from app.formats.nifti_cases import read_nifti
from tests.unit.volumes import read_only, save

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 900, (6, 8, 4)).astype(np.int16)
MARKS = RNG.integers(0, 4, (6, 8, 4)).astype(np.uint8)
AFFINE = np.array([[-0.8, 0, 0, 30], [0, -0.9, 0, 40], [0, 0, 3.0, -20], [0, 0, 0, 1]])
TRUST = ReadOptions(masks=True, trust_voxels=True)


def pair(folder, marks, affine=AFFINE):
    image = save(folder / "images" / "a.nii.gz", IMAGE, AFFINE)
    return image, save(folder / "labels" / "a.nii.gz", marks, affine)


def moved(**changes):
    affine = AFFINE.copy()
    for place, value in changes.items():
        affine[int(place[1]), int(place[2])] = value
    return affine


@pytest.mark.parametrize(
    "affine",
    [
        moved(_03=42.0),
        moved(_03=30.002),
        moved(_00=0.8, _11=0.9),
        AFFINE @ np.diag([2, 2, 2, 1.0]),
        np.diag([-1.0, 1, 1, 1]),
        np.eye(4),
    ],
)
def test_a_map_of_another_place_is_refused_with_both_affines_unless_voxels_are_trusted(
    tmp_path, affine
):
    image, labels = pair(tmp_path, MARKS, affine)
    with pytest.raises(VolumeInvalid) as refused:
        read_nifti([image], labels)
    words = str(refused.value)
    assert f"{labels} lies up to" in words
    assert "[-0.8, 0.0, 0.0, 30.0]" in words
    assert str([float(f"{v:.6g}") for v in affine[0]]) in words
    assert "--trust-voxels" in words
    trusted = read_nifti([image], labels, options=TRUST)
    in_place = read_nifti([image], pair(tmp_path / "b", MARKS)[1])
    np.testing.assert_array_equal(trusted.classes, in_place.classes)
    assert "its header puts it elsewhere" in trusted.warnings[0]
    assert in_place.warnings == ()


def test_a_map_of_half_the_size_is_refused_even_if_trusted(tmp_path):
    image, labels = pair(tmp_path, MARKS[::2, ::2, ::2], AFFINE @ np.diag([2, 2, 2, 1.0]))
    with pytest.raises(VolumeInvalid, match=r"shape \(3, 4, 2\).*\(6, 8, 4\).*\[-1\.6.*\[-0\.8"):
        read_nifti([image], labels)
    with pytest.raises(VolumeInvalid, match="voxel by voxel"):
        read_nifti([image], labels, options=TRUST)


def test_the_rounding_of_a_header_is_no_other_place(tmp_path):
    image, labels = pair(tmp_path, MARKS, moved(_03=30.0005))
    assert read_nifti([image], labels).classes.max() == 3


def test_numbers_that_were_scaled_are_whole_again(tmp_path):
    image, labels = pair(tmp_path, MARKS)
    scaled = nib.Nifti1Image(MARKS.astype(np.int16) * 10922, AFFINE)
    scaled.header.set_slope_inter(np.float32(3 / 32766), 0)
    nib.save(scaled, labels)
    assert not np.array_equal(np.asarray(nib.load(labels).dataobj), MARKS)
    expected = read_nifti([image], pair(tmp_path / "b", MARKS)[1])
    np.testing.assert_array_equal(read_nifti([image], labels).classes, expected.classes)


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        (MARKS + 0.002, "whole numbers"),
        (MARKS.astype(np.int16) - 1, "values from -1"),
        (MARKS.astype(np.int16) * 100, "values from 0 to 300"),
        (np.where(MARKS > 2, np.nan, MARKS), "NaN"),
        (np.stack([MARKS] * 3, axis=-1), "3 volumes"),
        (np.zeros(MARKS.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")]), "colours"),
    ],
)
def test_what_is_no_class_map_is_refused_by_name(tmp_path, marks, words):
    image, labels = pair(tmp_path, marks)
    with pytest.raises(VolumeInvalid, match=rf"labels/a\.nii\.gz .*{words}"):
        read_nifti([image], labels)


def test_a_fourth_dimension_of_one_is_none(tmp_path):
    image, labels = pair(tmp_path, MARKS[..., np.newaxis])
    assert read_nifti([image], labels).classes.max() == 3


def test_what_is_to_be_ignored_leaves_a_slice_unlabelled(tmp_path):
    marks = MARKS.copy()
    marks[..., 1] = 255
    marks[2, 3, 2] = 255
    image, labels = pair(tmp_path, marks)
    volume = read_nifti([image], labels, ignore=255)
    assert volume.unlabelled == {1, 2}
    assert volume.classes.max() == 3
    assert not volume.classes[1:3].any()
    (line,) = volume.warnings
    assert "1 slices are labelled in parts only" in line


def test_a_map_follows_the_plane_of_its_image(tmp_path):
    affine = np.diag([5, 0.5, 0.5, 1.0])
    save(tmp_path / "images" / "a.nii.gz", IMAGE, affine)
    save(tmp_path / "labels" / "a.nii.gz", (IMAGE > 400).astype(np.uint8), affine)
    for plane in (None, "axial", "coronal"):
        volume = read_only("nifti", tmp_path, masks=True, plane=plane)
        assert volume.geometry.plane == (plane or "sagittal")
        values = volume.channels[0].rescale[0].values(volume.channels[0].pixels)
        np.testing.assert_array_equal(volume.classes, values > 400)


def test_an_image_without_its_map_is_refused_and_a_map_without_image_left_out(tmp_path):
    _, labels = pair(tmp_path, MARKS)
    labels.rename(labels.with_name("b.nii.gz"))
    with pytest.raises(VolumeInvalid, match=r"images/a\.nii\.gz has no label map"):
        read_only("nifti", tmp_path, masks=True)
    labels.with_name("b.nii.gz").rename(labels.with_name("A.NII.GZ"))
    (tmp_path / "images" / "a.nii.gz").rename(tmp_path / "images" / "A.nii.gz")
    assert read_only("nifti", tmp_path, masks=True).classes.max() == 3
