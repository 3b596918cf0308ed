"""DICOM series: order, place as SimpleITK reads it, values by slice, colour."""

import json

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from app.core.errors import VolumeInvalid
from app.formats.writing import to_nifti
from tests.unit.dicom_files import (
    AXIAL,
    CORONAL,
    OBLIQUE,
    PRONE,
    RNG,
    SAGITTAL,
    numbered,
    read,
    series,
)


@pytest.mark.parametrize(
    ("orientation", "plane"),
    [
        (AXIAL, "axial"),
        (CORONAL, "coronal"),
        (SAGITTAL, "sagittal"),
        (PRONE, "axial"),
        (OBLIQUE, None),
    ],
)
def test_a_series_lies_where_simpleitk_reads_it(tmp_path, orientation, plane):
    folder = series(tmp_path / "a", numbered(), orientation)
    case = read(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    # As it is stored: no plane is turned.
    pixels = case.channels[0].pixels
    np.testing.assert_array_equal(pixels, sitk.GetArrayFromImage(image))
    voxels = to_nifti(pixels, case.geometry, case.source)
    written = np.asarray(voxels.dataobj)
    for slice_, row, column in np.ndindex(pixels.shape):
        lps = image.TransformIndexToPhysicalPoint((int(column), int(row), int(slice_)))
        ras = np.array(lps) * (-1, -1, 1)
        np.testing.assert_allclose(case.geometry.position(column, row, slice_), ras, atol=1e-5)
        np.testing.assert_allclose((voxels.affine @ [column, row, slice_, 1])[:3], ras, atol=1e-5)
        assert written[column, row, slice_] == pixels[slice_, row, column]
    spacing = case.geometry.spacing
    np.testing.assert_allclose((spacing.column, spacing.row, spacing.slice), image.GetSpacing())
    np.testing.assert_allclose(
        case.geometry.position(0, 0, 0) * (-1, -1, 1), image.GetOrigin(), atol=1e-5
    )
    direction = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    np.testing.assert_allclose(
        np.diag([-1, -1, 1]) @ case.geometry.affine[:3, :3], direction, atol=1e-5
    )
    assert plane is None or case.geometry.plane == plane
    assert "Somebody" not in json.dumps(case.source)


def test_an_exported_series_is_where_it_was_to_simpleitk_too(tmp_path):
    folder = series(tmp_path / "a", numbered(), OBLIQUE)
    case = read(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    to_nifti(case.channels[0].pixels, case.geometry, case.source).to_filename(tmp_path / "o.nii.gz")
    out = sitk.ReadImage(str(tmp_path / "o.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(out), sitk.GetArrayFromImage(image))
    for name in ("GetOrigin", "GetSpacing", "GetDirection"):
        np.testing.assert_allclose(getattr(out, name)(), getattr(image, name)(), atol=1e-5)


def test_a_tilted_gantry_keeps_its_tilt(tmp_path):
    step = (0.0, 0.8, 2.4)
    case = read(series(tmp_path / "a", numbered(), step=step))
    np.testing.assert_allclose(case.geometry.affine[:3, 2], (0, -0.8, 2.4), atol=1e-9)
    np.testing.assert_allclose(
        case.geometry.position(0, 0, 3), np.add((11.5, -7.25, -40), (0, -2.4, 7.2)), atol=1e-9
    )


def test_hounsfield_units_of_signed_and_unsigned_pixels(tmp_path):
    for name, pixels, intercept in (
        ("u", numbered(), -1024),
        ("i", numbered(dtype=np.int16) - np.int16(50), 0),
    ):
        case = read(
            series(tmp_path / name / "a", pixels, RescaleSlope=1, RescaleIntercept=intercept)
        )
        channel = case.channels[0]
        assert channel.largest_error == 0
        np.testing.assert_array_equal(
            channel.rescale[0].values(channel.pixels), pixels.astype(float) + intercept
        )
        assert channel.rescale[0].unit == "HU"


@pytest.mark.parametrize(
    ("modality", "type_", "unit"),
    [("CT", None, "HU"), ("CT", "US", None), ("MR", None, None), ("PT", "HU", "HU")],
)
def test_the_unit_of_values(tmp_path, modality, type_, unit):
    kind = {} if type_ is None else {"RescaleType": type_}
    case = read(series(tmp_path / "a", numbered(), Modality=modality, **kind))
    assert case.channels[0].rescale[0].unit == unit


def test_each_slice_may_have_a_slope_of_its_own(tmp_path):
    pixels = numbered(depth=3)
    slopes = ["0.5", "0.75", "1.1"]
    case = read(
        series(tmp_path / "a", pixels, Modality="PT", RescaleSlope=slopes, RescaleIntercept="3")
    )
    channel = case.channels[0]
    assert (len(channel.rescale), channel.largest_error) == (3, 0)
    for n, slope in enumerate(slopes):
        np.testing.assert_array_equal(
            channel.rescale_of(n).values(channel.pixels[n]), pixels[n] * float(slope) + 3
        )


def test_a_series_without_a_place_is_in_the_order_of_its_numbers(tmp_path):
    case = read(
        series(tmp_path / "a", numbered(), ImagePositionPatient=None, InstanceNumber=[4, 1, 3, 2])
    )
    assert case.geometry is None
    np.testing.assert_array_equal(case.channels[0].pixels, numbered()[[1, 3, 2, 0]])


def test_one_image_is_as_thick_as_it_says(tmp_path):
    case = read(series(tmp_path / "a", numbered(depth=1), SliceThickness=4))
    assert case.geometry.spacing.slice == 4


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"ImagePositionPatient": [[0, 0, z] for z in (0, 3, 6, 10)]}, "at equal distances"),
        ({"ImagePositionPatient": [[0, 0, z] for z in (0, 3, 3, 6)]}, "two images at one place"),
        ({"PixelSpacing": [0, 0]}, "place it nowhere"),
        ({"ImageOrientationPatient": [0] * 6}, "ImageOrientationPatient is not two directions"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "ImageOrientationPatient is not two"),
        ({"RescaleSlope": 0}, "give no values"),
        ({"BitsAllocated": 12}, "BitsAllocated is wrong"),
        ({"Rows": 7}, "it is cut: 60 bytes of 70 of its pixels"),
    ],
)
def test_what_is_no_even_stack_is_refused_by_name(tmp_path, elements, message):
    folder = series(tmp_path / "knee", numbered(), **elements)
    with pytest.raises(VolumeInvalid, match=message) as refused:
        read(folder)
    assert "knee" in str(refused.value)


def test_a_slice_slightly_beside_its_place_is_told(tmp_path):
    positions = [[0, 0, z] for z in (0, 3.05, 6, 9)]
    (line,) = read(series(tmp_path / "a", numbered(), ImagePositionPatient=positions)).warnings
    assert "up to 0.05 mm beside equal distances" in line


def test_colours_of_dicom(tmp_path):
    colours = RNG.integers(0, 256, (3, 6, 5, 3)).astype(np.uint8)
    folder = series(tmp_path / "a", colours)
    with pytest.raises(VolumeInvalid, match=r"\.dcm is coloured: name three channels"):
        read(folder)
    case = read(folder, "red", "green", "blue")
    np.testing.assert_array_equal(np.stack([c.pixels for c in case.channels], -1), colours)
    with pytest.raises(VolumeInvalid, match=r"\.dcm is grey, but three"):
        read(series(tmp_path / "grey", numbered()), "red", "green", "blue")


def test_a_palette_of_dicom(tmp_path):
    table = RNG.integers(0, 256, (256, 3)).astype(np.uint8)
    names = ("Red", "Green", "Blue")
    tables = {
        f"{name}PaletteColorLookupTableData": table[:, n].tobytes() for n, name in enumerate(names)
    }
    describes = {f"{name}PaletteColorLookupTableDescriptor": [256, 0, 8] for name in names}
    indices = RNG.integers(0, 256, (2, 6, 5)).astype(np.uint8)
    folder = series(
        tmp_path / "a", indices, PhotometricInterpretation="PALETTE COLOR", **tables, **describes
    )
    with pytest.raises(VolumeInvalid, match="coloured"):
        read(folder)
    case = read(folder, "0", "1", "2")
    np.testing.assert_array_equal(np.stack([c.pixels for c in case.channels], -1), table[indices])
