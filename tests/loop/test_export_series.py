"""DICOM series out as volumes: where SimpleITK reads them, tilted ones too."""

import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from app.exporting import ExportOptions, export_project
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


@pytest.fixture
def database(sqlite_database):
    return sqlite_database


def export(database, tmp_path, format_="nifti"):
    out = tmp_path / "out" / format_
    return out, export_project(database, "brain", out, ExportOptions(format_))


@pytest.mark.parametrize(
    ("orientation", "step"),
    [(AXIAL, None), (CORONAL, None), (SAGITTAL, None), (PRONE, None), (AXIAL, (0, 0, 7.5))],
)
def test_a_dicom_series_goes_out_where_simpleitk_reads_it(database, tmp_path, orientation, step):
    volume, _ = dicom_series(tmp_path / "in" / "series", orientation, step)
    make_project(database)
    marks = labels_of(volume)
    keep(database, "a", volume, marks)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "in" / "series")))
    original = reader.Execute()
    out, _ = export(database, tmp_path)
    for part, expected in (("images", sitk.GetArrayFromImage(original)), ("labels", marks)):
        image = sitk.ReadImage(str(out / part / "a.nii.gz"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), expected)
        for name in ("GetOrigin", "GetSpacing", "GetDirection"):
            found, right = getattr(image, name)(), getattr(original, name)()
            np.testing.assert_allclose(found, right, atol=1e-4)


def test_a_tilted_series_keeps_the_place_of_each_slice(database, tmp_path):
    volume, images = dicom_series(tmp_path / "in" / "series", step=(0, 0.8, 2.4))
    make_project(database)
    keep(database, "a", volume, labels_of(volume))
    out, report = export(database, tmp_path, "nnunet")
    raw = out / "Dataset001_brain"
    image = nib.load(raw / "imagesTr" / "a_0000.nii.gz")
    label = nib.load(raw / "labelsTr" / "a.nii.gz")
    for n, one in enumerate(images):
        ras = np.array(one.ImagePositionPatient, dtype=float) * (-1, -1, 1)
        np.testing.assert_allclose((image.affine @ (0, 0, n, 1))[:3], ras, atol=1e-4)
    np.testing.assert_array_equal(label.affine, image.affine)
    assert "show the last slice" in report.warnings["a"][0]
    # ITK takes no tilt: it finds what it makes of the series itself.
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "in" / "series")))
    original = reader.Execute()
    found = sitk.ReadImage(str(raw / "imagesTr" / "a_0000.nii.gz"))
    for name in ("GetOrigin", "GetSpacing", "GetDirection"):
        np.testing.assert_allclose(getattr(found, name)(), getattr(original, name)(), atol=1e-4)
    described = json.loads((raw / "dataset.json").read_text())
    # SimpleITK, which nnU-Net would read with, takes no tilt.
    assert described["overwrite_image_reader_writer"] == "NibabelIO"
