"""Out and in again: the same voxels, affine, labels and splits, by our own readers."""

import nibabel as nib
import numpy as np
import pytest

from app.core.splits import Split
from app.exporting import ExportOptions, export_project
from app.formats.case import CaseVolume, ChannelStack
from app.formats.layout import ReadOptions, find_layout
from app.formats.nifti_cases import read_nifti
from tests.exports import CORONAL, dicom_series, keep, labels_of, make_project

CLASSES = ("background", "tumour", "cyst")
SPLITS = {"p": Split.POOL, "v": Split.VALIDATION, "t": Split.TEST}
# Which of our readers takes which format, and what it finds the data set in.
READERS = {
    "decathlon": ("msd", "."),
    "nifti": ("nifti", "."),
    "nnunet": ("nnunet", "Dataset001_brain"),
    "png": ("png", "."),
    "coco": ("coco", "."),
    "dicom-seg": ("dicom", None),
    "dicom-labelmap": ("dicom", None),
}
SAGITTAL_FILE = np.array([[0, 0, 4.0, 3], [0.7, 0, 0, -9], [0, -0.7, 0, 20], [0, 0, 0, 1]])
AFFINES = {
    "axial": np.diag([-1, -1, 3.0, 1]),
    "upside-down": np.diag([1, -2, -3.0, 1]),
    "sagittal": SAGITTAL_FILE,
}


@pytest.fixture
def database(sqlite_database):
    make_project(sqlite_database, CLASSES)
    return sqlite_database


def again(database, tmp_path, format_):
    """What our reader finds in an export: the data set, and its volumes by name."""
    layout, inside = READERS[format_]
    out = tmp_path / "out"
    export_project(database, "brain", out, ExportOptions(format_))
    data_set = find_layout(layout).read(out / (inside or "."), ReadOptions(masks=True))
    return data_set, {case.name: case.read() for case in data_set.cases}


def same(volume: CaseVolume, read: CaseVolume, marks, unlabelled=frozenset()) -> None:
    stored, back = volume.channels[0], read.channels[0]
    assert back.pixels.shape == stored.pixels.shape
    for n in range(volume.depth):
        values = stored.rescale_of(n).values(stored.pixels[n])
        np.testing.assert_array_equal(back.rescale_of(n).values(back.pixels[n]), values)
        if n not in unlabelled:
            np.testing.assert_array_equal(read.classes[n], marks[n])
    assert read.unlabelled == unlabelled


@pytest.mark.parametrize("format_", ["decathlon", "nifti", "nnunet"])
@pytest.mark.parametrize("lies", AFFINES)
def test_volumes(database, tmp_path, format_, lies):
    kept = {}
    rng = np.random.default_rng(0)
    for name, split in SPLITS.items():
        file = tmp_path / f"{name}.nii.gz"
        values = rng.integers(-50, 900, (6, 5, 4)).astype(np.int16)
        nib.save(nib.Nifti1Image(values, AFFINES[lies]), file)
        volume = read_nifti([file])
        marks = labels_of(volume, 3)
        kept[name] = (volume, marks, frozenset({1}) if name == "p" else frozenset())
        keep(database, name, volume, marks, kept[name][2], split)
    data_set, found = again(database, tmp_path, format_)
    assert data_set.splits == SPLITS
    assert tuple(data_set.classes or ()) == CLASSES
    for name, (volume, marks, unlabelled) in kept.items():
        same(volume, found[name], marks, unlabelled)
        np.testing.assert_array_equal(found[name].geometry.affine, volume.geometry.affine)


@pytest.mark.parametrize("format_", ["png", "coco"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures(database, tmp_path, format_, dtype):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(dtype).max, (3, 6, 5), endpoint=True).astype(dtype)
    volume = CaseVolume((ChannelStack(pixels),))
    marks = labels_of(volume, 3)
    for name, split in SPLITS.items():
        unlabelled = frozenset({1}) if name == "p" else frozenset()
        keep(database, name, volume, marks, unlabelled, split)
    data_set, found = again(database, tmp_path, format_)
    assert data_set.splits == SPLITS
    assert tuple(data_set.classes or ()) == CLASSES
    for name in SPLITS:
        same(volume, found[name], marks, frozenset({1}) if name == "p" else frozenset())


@pytest.mark.parametrize("format_", ["dicom-seg", "dicom-labelmap"])
def test_segmentations_beside_their_series(database, tmp_path, format_):
    volume, _ = dicom_series(tmp_path / "out" / "series", CORONAL)
    marks = labels_of(volume, 3)
    keep(database, "series", volume, marks, [1])
    export_project(database, "brain", tmp_path / "exported", ExportOptions(format_))
    (tmp_path / "exported" / "segmentations").rename(tmp_path / "out" / "segmentations")
    data_set = find_layout("dicom").read(tmp_path / "out", ReadOptions(masks=True))
    (case,) = data_set.cases
    read = case.read()
    same(volume, read, marks, frozenset({1}))
    assert tuple(data_set.classes or ()) == CLASSES
    np.testing.assert_allclose(read.geometry.affine, volume.geometry.affine, atol=1e-6)
