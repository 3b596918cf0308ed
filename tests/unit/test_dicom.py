"""DICOM series: order, place as SimpleITK reads it, values by slice, colour."""

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

from app.core.errors import VolumeInvalid
from app.formats.layout import ReadOptions, find_layout
from app.formats.writing import to_nifti

AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]
OBLIQUE = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()[:, :2].T.ravel()
RNG = np.random.default_rng(0)


def series(folder, pixels, orientation=AXIAL, step=None, start=(-11.5, 7.25, -40.0), **elements):
    """Write (D, H, W) or (D, H, W, 3) pixels as files in a shuffled order.

    An element that is a list of D values differs from image to image.
    """
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    step = 2.5 * normal if step is None else np.asarray(step)
    uid = generate_uid()
    for n in RNG.permutation(len(pixels)):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.StudyInstanceUID = image.FrameOfReferenceUID = image.SeriesInstanceUID = uid
        image.PatientName, image.PatientID = "Somebody^Real", "4711"
        image.Modality, image.InstanceNumber = "CT", 1
        image.ImageOrientationPatient = [f"{v:.12g}" for v in orientation]
        image.ImagePositionPatient = [f"{v:.10f}"[:16] for v in np.asarray(start) + n * step]
        image.PixelSpacing = [0.75, 0.5]
        plane = np.ascontiguousarray(pixels[n])
        image.Rows, image.Columns = plane.shape[:2]
        image.SamplesPerPixel = 3 if plane.ndim == 3 else 1
        image.PhotometricInterpretation = "RGB" if plane.ndim == 3 else "MONOCHROME2"
        if plane.ndim == 3:
            image.PlanarConfiguration = 0
        bits = 8 * plane.dtype.itemsize
        image.BitsAllocated, image.BitsStored, image.HighBit = bits, bits, bits - 1
        image.PixelRepresentation = int(plane.dtype.kind == "i")
        image.PixelData = plane.tobytes()
        for name, value in elements.items():
            own = isinstance(value, list) and len(value) == len(pixels)
            setattr(image, name, value[n] if own else value)
            if value is None:
                delattr(image, name)
        pydicom.dcmwrite(folder / f"{RNG.integers(10**9)}.dcm", image, enforce_file_format=True)
    return folder


def read(folder, *channels):
    return find_layout("dicom").read(folder.parent, ReadOptions(channels=channels)).cases[0].read()


def numbered(depth=4, height=6, width=5, dtype=np.uint16):
    return np.arange(depth * height * width, dtype=dtype).reshape(depth, height, width)


@pytest.mark.parametrize(
    ("orientation", "plane"),
    [(AXIAL, "axial"), (CORONAL, "coronal"), (SAGITTAL, "sagittal"), (OBLIQUE, None)],
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
        (
            {"ImagePositionPatient": [[0, 0, z] for z in (0, 3, 6, 12)]},
            "not lie at equal distances",
        ),
        ({"ImagePositionPatient": [[0, 0, z] for z in (0, 3, 3, 6)]}, "lie at the same place"),
        ({"ImageOrientationPatient": [AXIAL, AXIAL, CORONAL, AXIAL]}, "differ in orientation"),
        ({"PixelSpacing": [[1, 1], [1, 1], [1, 2], [1, 1]]}, "differ in orientation or spacing"),
        ({"PixelSpacing": [0, 0]}, "place it nowhere"),
        ({"SeriesInstanceUID": [generate_uid() for _ in range(4)]}, "several series"),
        ({"RescaleSlope": 0}, "give no values"),
        ({"Rows": [6, 6, 5, 6]}, "must be of one size|cannot be decoded"),
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
        read(series(tmp_path / "grey" / "b", numbered()), "red", "green", "blue")


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


def test_masks_are_not_read_from_dicom(tmp_path):
    with pytest.raises(VolumeInvalid, match="import the images without masks"):
        find_layout("dicom").read(tmp_path, ReadOptions(masks=True))
