"""Where a voxel lies: through every order of axes, and back into a file."""

import json
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.formats.layout import ReadOptions
from app.formats.nifti_cases import read_nifti
from app.formats.writing import to_nifti

ORIENTATIONS = list(product(permutations(range(3)), product((1, -1), repeat=3)))
PLANES = ("sagittal", "coronal", "axial")
# Left, right, top and bottom as DICOM viewers show a series of that plane.
EDGES = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}
SHAPES = [(4, 5, 6), (6, 4, 1), (1, 3, 5), (3, 3, 3)]


def affine_of(matrix, origin=(-31.5, 12.25, 7.0)):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, origin
    return affine


def check_places(path, image, plane=None):
    """Each voxel of the stack has its value and its place, and goes back to where it was."""
    nib.save(image, path)
    loaded = nib.load(path)
    voxels = np.asarray(loaded.dataobj)
    case = read_nifti([path], options=ReadOptions(plane=plane))
    pixels, geometry = case.channels[0].pixels, case.geometry
    inverse = np.linalg.inv(loaded.affine)
    for slice_, row, column in np.ndindex(pixels.shape):
        mm = geometry.position(column, row, slice_)
        place = (inverse @ [*mm, 1])[:3]
        np.testing.assert_allclose(place, np.rint(place), atol=1e-6)
        i, j, k = np.rint(place).astype(int)
        assert voxels.reshape(*voxels.shape, 1)[i, j, k, 0] == pixels[slice_, row, column]
        np.testing.assert_allclose(mm, (loaded.affine @ [i, j, k, 1])[:3], atol=1e-6)
    again = path.with_name("again.nii.gz")
    kept = json.loads(json.dumps(case.source))
    nib.save(to_nifti(case.channels[0].rescale[0].values(pixels), geometry, kept), again)
    back = nib.load(again)
    np.testing.assert_array_equal(np.asarray(back.dataobj), voxels)
    np.testing.assert_array_equal(back.affine, loaded.affine)
    assert back.header.get_xyzt_units() == loaded.header.get_xyzt_units()
    assert back.get_data_dtype() == loaded.get_data_dtype()
    return case


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_order_of_axes_keeps_each_voxel_at_its_place(tmp_path, orientation):
    axes, signs = orientation
    for n, shape in enumerate(SHAPES):
        matrix = np.zeros((3, 3))
        for axis, (to, sign) in enumerate(zip(axes, signs, strict=True)):
            matrix[to, axis] = sign * (0.7, 1.5, 3.0)[axis]
        voxels = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
        case = check_places(tmp_path / f"{n}.nii.gz", nib.Nifti1Image(voxels, affine_of(matrix)))
        # The slices lie along the largest distance, and a single one in its own plane.
        plane = PLANES[axes[0 if shape[0] == 1 else 2]]
        assert case.geometry.plane == plane
        edges = case.geometry.edges
        assert "".join((edges.left, edges.right, edges.top, edges.bottom)) == EDGES[plane]
        # As a DICOM series, slices follow each other along the normal of rows and columns.
        assert np.linalg.det(case.geometry.affine) > 0


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("orientation", ORIENTATIONS[::5])
def test_any_plane_may_be_cut_and_leads_back(tmp_path, orientation, plane):
    axes, signs = orientation
    matrix = np.zeros((3, 3))
    for axis, (to, sign) in enumerate(zip(axes, signs, strict=True)):
        matrix[to, axis] = sign * (0.7, 1.5, 3.0)[axis]
    voxels = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    image = nib.Nifti1Image(voxels, affine_of(matrix))
    case = check_places(tmp_path / "a.nii.gz", image, plane)
    assert case.geometry.plane == plane
    assert "".join(vars(case.geometry.edges).values()) == EDGES[plane]


@pytest.mark.parametrize(
    ("spacing", "shape", "plane"),
    [
        ((1, 1, 1), (4, 5, 6), "axial"),
        ((0.5, 0.5, 5), (4, 5, 6), "axial"),
        ((5, 0.5, 0.5), (4, 5, 6), "sagittal"),
        ((0.5, 5, 0.5), (4, 5, 6), "coronal"),
        ((1.2, 1, 1), (4, 5, 6), "sagittal"),
        # A CT of thin slices, and one of almost equal distances.
        ((0.9, 0.9, 0.6), (4, 5, 6), "axial"),
        ((1.0, 1.001, 1.0), (4, 5, 6), "axial"),
        ((2, 2, 1), (4, 5, 6), "axial"),
        ((1, 1, 1), (4, 1, 6), "coronal"),
        ((1, 1, 1), (1, 5, 6), "sagittal"),
        ((1, 1, 9), (1, 1, 6), "axial"),
    ],
)
def test_the_plane_that_was_acquired_is_cut(tmp_path, spacing, shape, plane):
    image = nib.Nifti1Image(np.zeros(shape, np.uint8), affine_of(np.diag(spacing)))
    nib.save(image, tmp_path / "a.nii")
    assert read_nifti([tmp_path / "a.nii"]).geometry.plane == plane


@settings(max_examples=40, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 8)] * 3),
    origin=st.tuples(*[st.floats(-300, 300)] * 3),
    mirrored=st.booleans(),
    form=st.sampled_from(["sform", "qform", "both"]),
)
def test_an_oblique_volume_keeps_each_voxel_at_its_place(
    tmp_path_factory, angles, spacing, origin, mirrored, form
):
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing
    matrix[:, 2] *= -1 if mirrored else 1
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), None)
    affine = affine_of(matrix, origin)
    if form != "qform":
        image.set_sform(affine, 1)
    if form != "sform":
        image.set_qform(affine, 1)
    case = check_places(tmp_path_factory.mktemp("oblique") / "a.nii.gz", image)
    lengths = sorted(vars(case.geometry.spacing).values())
    np.testing.assert_allclose(lengths, sorted(spacing), rtol=1e-4)


def test_a_sheared_volume_keeps_its_affine(tmp_path):
    matrix = [[1, 0, 0.4], [0.1, 1, 0], [0, 0, 3]]
    voxels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    check_places(tmp_path / "a.nii.gz", nib.Nifti1Image(voxels, affine_of(matrix)))


def test_the_second_version_of_the_format_keeps_its_affine_too(tmp_path):
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    affine = affine_of(np.diag([1 / 3, 1 / 7, 1 / 9]))
    check_places(tmp_path / "a.nii.gz", nib.Nifti2Image(voxels, affine))


def test_a_mask_goes_out_in_the_order_of_its_image(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), affine_of(np.diag([-1.0, 2, -3])))
    nib.save(image, tmp_path / "a.nii.gz")
    marks = np.zeros((4, 5, 6), dtype=np.uint8)
    marks[1, 2, 3] = 7
    # A label map may lie in another order of axes, as long as it lies on the same voxels.
    turned = nib.Nifti1Image(marks, image.affine).as_reoriented([[2, 1], [0, -1], [1, 1]])
    nib.save(turned, tmp_path / "m.nii.gz")
    case = read_nifti([tmp_path / "a.nii.gz"], tmp_path / "m.nii.gz")
    out = to_nifti(case.classes, case.geometry, case.source)
    np.testing.assert_array_equal(np.asarray(out.dataobj), marks)
    assert out.get_data_dtype() == np.uint8


def test_a_mask_beside_its_image_is_refused(tmp_path):
    for name, shift in (("a", 0.0), ("near", 5e-4), ("m", 5.0)):
        affine = affine_of(np.eye(3), (shift, 0, 0))
        nib.save(nib.Nifti1Image(np.zeros((4, 4, 3), np.uint8), affine), tmp_path / f"{name}.nii")
    read_nifti([tmp_path / "a.nii"], tmp_path / "near.nii")
    with pytest.raises(VolumeInvalid, match=r"m\.nii lies up to 5 mm away from .*a\.nii"):
        read_nifti([tmp_path / "a.nii"], tmp_path / "m.nii")


def test_a_case_without_a_place_goes_out_as_it_was_drawn():
    stack = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    out = to_nifti(stack, None, {})
    np.testing.assert_array_equal(np.asarray(out.dataobj), stack.transpose(2, 1, 0))
    np.testing.assert_array_equal(out.affine, np.diag([-1.0, -1.0, 1.0, 1.0]))


def test_a_case_that_begins_later_lies_there():
    geometry = Geometry(affine_of(np.diag([1.0, 2.0, 3.0])))
    out = to_nifti(np.zeros((2, 3, 4), np.uint8), geometry, {}, first_index=5)
    np.testing.assert_allclose(out.affine @ [0, 0, 0, 1], [*geometry.position(0, 0, 5), 1])


def test_a_source_from_before_there_was_more_still_leads_back():
    """Projects made earlier kept no more than file, shape and affine."""
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    affine = affine_of(np.diag([1.0, -2.0, 3.0]))
    stack = voxels.transpose(2, 1, 0)[:, :, ::-1]
    out = to_nifti(stack, None, {"file": "a.nii", "shape": [2, 3, 4], "affine": affine.tolist()})
    np.testing.assert_array_equal(np.asarray(out.dataobj), voxels)
    np.testing.assert_array_equal(out.affine, affine)


@pytest.mark.parametrize(
    ("orientation", "plane", "edges"),
    [
        ([1, 0, 0, 0, 1, 0], "axial", "RLAP"),
        ([1, 0, 0, 0, 0, -1], "coronal", "RLSI"),
        ([0, 1, 0, 0, 0, -1], "sagittal", "APSI"),
    ],
)
def test_planes_and_edges_of_dicom(orientation, plane, edges):
    normal = np.cross(orientation[:3], orientation[3:])
    geometry = Geometry.of_dicom((1, 2, 3), orientation, (0.5, 0.25), normal * 4)
    assert geometry.plane == plane
    assert "".join(vars(geometry.edges).values()) == edges
    assert vars(geometry.spacing) == {"row": 0.5, "column": 0.25, "slice": 4.0}
    np.testing.assert_allclose(geometry.position(0, 0, 0), (-1, -2, 3))


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.eye(3), np.diag([1, np.nan, 1, 1])])
def test_what_is_no_affine(affine):
    with pytest.raises(InvalidInput):
        Geometry(np.asarray(affine, dtype=np.float64))


def test_voxels_of_a_microscope_are_no_singular_affine():
    assert Geometry(np.diag([1e-4, 1e-4, 5e-4, 1.0])).spacing.row == pytest.approx(1e-4)
