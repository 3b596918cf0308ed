"""Volumes out: a case goes back to its own grid, values and types, whatever it came as."""

import json
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from sqlalchemy import select

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.core.rescale import Rescale
from app.exporting import ExportOptions, export_project
from app.formats.case import CaseVolume, ChannelStack
from app.formats.nifti_cases import read_nifti
from app.store import Image, Mask
from app.store.blobs import StoredBlob
from tests.exports import keep, labels_of
from tests.exports import make_project as project_in

FORMATS = {
    "decathlon": ("imagesTr/{}.nii.gz", "labelsTr/{}.nii.gz", 255),
    "nifti": ("images/{}.nii.gz", "labels/{}.nii.gz", 255),
    "nnunet": (
        "Dataset001_brain/imagesTr/{}_0000.nii.gz",
        "Dataset001_brain/labelsTr/{}.nii.gz",
        2,
    ),
}
RNG = np.random.default_rng(0)


@pytest.fixture
def database(sqlite_database):
    return sqlite_database


def export(database, tmp_path, format_="nifti", **options):
    out = tmp_path / "out" / format_
    return out, export_project(database, "brain", out, ExportOptions(format_, **options))


def written(out, format_, name="a"):
    image, label, _ = FORMATS[format_]
    return nib.load(out / image.format(name)), nib.load(out / label.format(name))


def voxels(image):
    return np.asanyarray(image.dataobj)


def orientations():
    for axes in permutations(range(3)):
        for flips in product((1, -1), repeat=3):
            affine = np.eye(4)
            affine[:3, :3] = np.diag(flips)[:, axes] * (0.5, 1.25, 3.0)
            affine[:3, 3] = (10, -20, 5)
            yield affine


@pytest.mark.parametrize("affine", list(orientations())[::5])
def test_nifti_of_any_orientation_goes_back_voxel_for_voxel(database, tmp_path, affine):
    file = tmp_path / "a.nii.gz"
    values = RNG.integers(-1000, 1000, (7, 6, 5)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, affine), file)
    marks = nib.Nifti1Image(RNG.integers(0, 2, (7, 6, 5)).astype(np.uint8), affine)
    nib.save(marks, tmp_path / "marks.nii.gz")
    volume = read_nifti([file], tmp_path / "marks.nii.gz")
    project_in(database)
    keep(database, "a", volume, volume.classes)
    for format_ in FORMATS:
        out, _ = export(database, tmp_path, format_)
        image, label = written(out, format_)
        for one, original in ((image, values), (label, voxels(marks))):
            np.testing.assert_array_equal(voxels(one), original)
            np.testing.assert_array_equal(one.affine, nib.load(file).affine)
        assert image.get_data_dtype() == np.int16


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.full((3, 4, 2), -3.25), np.float32),
        (np.full((3, 4, 2), -3.25), np.float64),
        (100_000_000 + np.arange(24).reshape(3, 4, 2) * 1000, np.int32),
        (np.arange(24).reshape(3, 4, 2), np.uint8),
        (np.arange(24).reshape(3, 4, 2), np.int8),
        (np.arange(24).reshape(3, 4, 2) - 12, np.int16),
        (np.arange(24).reshape(3, 4, 2) + 60_000, np.uint16),
        (np.arange(24).reshape(3, 4, 2) + 4_000_000_000, np.uint32),
        (np.arange(24).reshape(3, 4, 2) + 2**40, np.int64),
        (np.arange(24).reshape(3, 4, 2) * 0.1, np.float32),
        (np.arange(24).reshape(3, 4, 2), np.float32),
    ],
)
def test_values_and_types_are_those_of_the_file(database, tmp_path, values, dtype):
    file = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(values.astype(dtype), np.eye(4), dtype=dtype), file)
    volume = read_nifti([file])
    project_in(database)
    keep(database, "a", volume, labels_of(volume))
    for format_ in FORMATS:
        out, _ = export(database, tmp_path, format_)
        image, _ = written(out, format_)
        np.testing.assert_array_equal(voxels(image), values.astype(dtype))
        if dtype != np.float64:  # what single precision holds is not written in double
            assert image.get_data_dtype() == dtype


def test_a_files_own_slope_gives_its_values_back(database, tmp_path):
    file = tmp_path / "a.nii.gz"
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(3, 4, 2), np.eye(4))
    image.header.set_slope_inter(0.3, -5)
    nib.save(image, file)
    volume = read_nifti([file])
    project_in(database)
    keep(database, "a", volume, labels_of(volume))
    out, _ = export(database, tmp_path)
    np.testing.assert_array_equal(written(out, "nifti")[0].get_fdata(), nib.load(file).get_fdata())


def posted(*indices, size=(4, 5), lowest=40):
    """Slices as they are posted one by one: pixels that tell their index."""
    pixels = np.stack([np.full(size, lowest + i, dtype=np.uint16) for i in indices])
    return CaseVolume((ChannelStack(pixels),), indices=tuple(indices))


@pytest.mark.parametrize("format_", FORMATS)
def test_indices_with_gaps_point_into_the_volume_and_gaps_are_told(database, tmp_path, format_):
    volume = posted(3, 7, 10)
    project_in(database)
    keep(database, "a", volume, labels_of(volume), unlabelled=[1])
    out, report = export(database, tmp_path, format_)
    image, label = written(out, format_)
    assert image.shape == label.shape == (5, 4, 8)
    assert [int(voxels(image)[0, 0, k]) for k in range(8)] == [43, 43, 43, 43, 47, 43, 43, 50]
    ignore = FORMATS[format_][2]
    drawn = [k for k in range(8) if not (voxels(label)[..., k] == ignore).any()]
    described = next(iter(out.rglob("dataset.json")), out / "sfumato.json")
    found = json.loads(described.read_text())
    case = found["training"][0] if "training" in found else found["cases"]["a"]
    assert case["labelled_slices"] == drawn == [0, 7]
    assert (case["missing_slices"], case["first_index"]) == ([1, 2, 3, 5, 6], 3)
    assert "no slice at 1 to 3, 5 to 6 of the 8 places" in report.warnings["a"][0]


def test_a_file_that_lost_a_slice_keeps_its_grid(database, tmp_path):
    affine = np.diag([1, 1, -2.0, 1])  # its last slice is the first of the stack
    values = RNG.integers(0, 100, (4, 5, 6)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "a.nii.gz")
    volume = read_nifti([tmp_path / "a.nii.gz"])
    kept = CaseVolume(
        (ChannelStack(volume.channels[0].pixels[1:], volume.channels[0].rescale),),
        geometry=volume.geometry,
        first_index=1,
        source=volume.source,
    )
    project_in(database)
    keep(database, "a", kept, labels_of(kept))
    out, report = export(database, tmp_path)
    image, label = written(out, "nifti")
    np.testing.assert_array_equal(image.affine, affine)
    np.testing.assert_array_equal(voxels(image)[..., :5], values[..., :5])
    assert (voxels(label)[..., 5] == 255).all()
    case = json.loads((out / "sfumato.json").read_text())["cases"]["a"]
    assert (case["labelled_slices"], case["missing_slices"]) == ([0, 1, 2, 3, 4], [5])
    assert "no slice at 0 of the 6 places" in report.warnings["a"][0]


def test_one_case_that_cannot_go_out_is_named_and_the_others_go(database, tmp_path):
    project_in(database)
    same, other = [(20, 30), (20, 30)], [(20, 30), (22, 30)]
    for name, sizes in (("before", same), ("bad", other), ("good", same)):
        for index, size in enumerate(sizes):
            volume = posted(index, size=size)
            keep(database, name, volume, labels_of(volume))
    for format_ in (*FORMATS, "png", "coco"):
        out, report = export(database, tmp_path, format_)
        assert report.cases == 2
        assert "30 × 20, 30 × 22" in report.left_out["bad"]
        kept = json.loads((out / "export-report.json").read_text())
        assert kept["left_out"] == report.left_out
        assert list(out.rglob("*before*"))
        assert list(out.rglob("*good*"))
        assert not list(out.rglob("*bad*"))
        assert (out / "masks.csv").read_text().count("good") == 2


@pytest.mark.parametrize("damage", [b"", b"no picture", None])
@pytest.mark.parametrize("kind", ["image", "mask"])
def test_a_damaged_or_lost_picture_keeps_no_other_case_back(database, tmp_path, damage, kind):
    project_in(database)
    for n, name in enumerate(("before", "bad", "good")):
        volume = posted(0, 1, lowest=100 * n)
        keep(database, name, volume, labels_of(volume, seed=n))
    with database.writing() as session:
        rows = Image if kind == "image" else Mask
        sha256 = session.scalars(select(rows.sha256).order_by(rows.slice_id)).all()[3]
        blob = session.get_one(StoredBlob, sha256)
        if damage is None:
            session.delete(blob)
        else:
            blob.data = blob.data[:40] + damage
    for format_ in (*FORMATS, "png", "coco"):
        out, report = export(database, tmp_path, format_)
        assert report.cases == 2
        why = "are gone from where they" if damage is None else "are damaged where they"
        assert why in report.left_out["bad"]
        assert not list(out.rglob("*bad*"))
        if format_ == "coco":
            found = json.loads((out / "instances.json").read_text())
            assert {image["case"] for image in found["images"]} == {"before", "good"}
            ids = [one["id"] for one in found["annotations"]]
            assert ids == list(range(1, len(ids) + 1))


def test_where_no_case_can_go_out_nothing_is_left(database, tmp_path):
    project_in(database)
    for index, size in enumerate([(20, 30), (22, 30)]):
        volume = posted(index, size=size)
        keep(database, "bad", volume, labels_of(volume))
    with pytest.raises(VolumeInvalid, match="bad: its slices differ in size"):
        export(database, tmp_path)
    assert not (tmp_path / "out" / "nifti").exists()
    with pytest.raises(InvalidInput, match="there is no writer 'stl': choose one of"):
        export(database, tmp_path, "stl")


def test_slopes_that_differ_by_slice_give_values_back(database, tmp_path):
    pixels = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    ways = (Rescale(0, 0.5, 1.0), Rescale(0, 0.125, -2.0))
    volume = CaseVolume((ChannelStack(pixels, ways),), geometry=Geometry(np.diag([1, 1, 2, 1.0])))
    project_in(database)
    keep(database, "a", volume, labels_of(volume))
    out, _ = export(database, tmp_path)
    found = voxels(written(out, "nifti")[0]).transpose(2, 1, 0)
    np.testing.assert_array_equal(
        found, np.stack([w.values(p) for w, p in zip(ways, pixels, strict=True)])
    )
