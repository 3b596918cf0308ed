"""What comes in again, or beside what is there: the same, another, or by another name."""

import json

import nibabel as nib
import numpy as np
import pytest
from sqlalchemy import select

from app.core.errors import VolumeInvalid
from app.core.pixels import decode
from app.core.project_settings import ProjectSettings
from app.loop.projects import create_project
from app.store import Mask, Slice, blobs
from tests.importing.folders import count, taken_in, write


def test_other_pixels_or_another_size_in_the_same_place_are_refused(database, tmp_path):
    write(tmp_path / "set" / "c.nii.gz", seed=1)
    taken_in(database, tmp_path / "set")
    write(tmp_path / "set" / "c.nii.gz", seed=2)
    assert "other pixels" in taken_in(database, tmp_path / "set").refused["c"]
    write(tmp_path / "set" / "c.nii.gz", shape=(8, 8, 6))
    assert "one stack" in taken_in(database, tmp_path / "set").refused["c"]
    assert count(database, Slice) == 5


def decathlon(folder, classes, marked: int):
    """A task of one case in which class ``marked`` is in one corner."""
    write(folder / "imagesTr" / f"{folder.name}.nii.gz", seed=marked)
    marks = np.zeros((8, 9, 5), np.uint8)
    marks[:3, :3] = marked
    (folder / "labelsTr").mkdir()
    image = nib.load(folder / "imagesTr" / f"{folder.name}.nii.gz")
    nib.save(nib.Nifti1Image(marks, image.affine), folder / "labelsTr" / f"{folder.name}.nii.gz")
    file = f"./imagesTr/{folder.name}.nii.gz"
    described = {
        "labels": {str(n): name for n, name in enumerate(classes)},
        "modality": {"0": "CT"},
        "training": [{"image": file, "label": file.replace("images", "labels")}],
    }
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder


def test_classes_are_matched_by_name(database, tmp_path):
    pool = {"masks": "pool", "validation": 0.0, "test": 0.0}
    first = decathlon(tmp_path / "a", ["background", "liver", "kidney"], 1)
    second = decathlon(tmp_path / "b", ["background", "Kidney", "liver"], 2)
    assert taken_in(database, first, "msd", **pool).taken[0].classes == ["background", "liver"]
    assert taken_in(database, second, "msd", **pool).taken[0].classes == ["background", "liver"]
    with database.reading() as session:
        query = select(Mask.sha256).join(Slice, Slice.id == Mask.slice_id)
        masks = {decode(blobs.get(session, sha256)).max() for sha256 in session.scalars(query)}
    assert masks == {1}
    third = decathlon(tmp_path / "c", ["background", "spleen", "liver"], 1)
    with pytest.raises(VolumeInvalid, match="name them alike"):
        taken_in(database, third, "msd", **pool)
    # Without masks their names are of no matter.
    assert taken_in(database, third, "msd").cases == 1
    fourth = decathlon(tmp_path / "d", ["background", "liver"], 1)
    assert taken_in(database, fourth, "msd", **pool).cases == 1


def test_a_word_for_any_target_is_any_class(database, tmp_path):
    pool = {"masks": "pool", "validation": 0.0, "test": 0.0}
    with database.writing() as session:
        create_project(session, "p", ProjectSettings(classes=["background", "target"]))
    report = taken_in(
        database, decathlon(tmp_path / "a", ["background", "liver"], 1), "msd", **pool
    )
    assert "'liver' is taken for 'target'" in report.warnings[""][0]


def changed(path, scale: float = 1.0, spacing: float = 3.0) -> None:
    """The same stored integers with another meaning, or at another place."""
    image = nib.load(path)
    voxels = np.asarray(image.dataobj.get_unscaled()).copy()
    image = nib.Nifti1Image(voxels, np.diag([0.5, 0.5, spacing, 1.0]))
    image.header.set_slope_inter(scale, 0)
    nib.save(image, path)


def test_the_same_numbers_with_another_meaning_or_place_are_not_the_same(database, tmp_path):
    path = tmp_path / "set" / "c.nii.gz"
    write(path)
    taken_in(database, tmp_path / "set")
    changed(path, scale=2.0)
    assert "other pixels" in taken_in(database, tmp_path / "set").refused["c"]
    changed(path, spacing=6.0)
    assert "another place" in taken_in(database, tmp_path / "set").refused["c"]
    changed(path)
    assert taken_in(database, tmp_path / "set").known_slices == 5


def test_labels_that_are_there_stay_and_it_is_said(database, tmp_path):
    pool = {"masks": "pool", "validation": 0.0, "test": 0.0}
    folder = decathlon(tmp_path / "a", ["background", "liver"], 1)
    taken_in(database, folder, "msd", **pool)
    path = folder / "labelsTr" / "a.nii.gz"
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.zeros((8, 9, 5), np.uint8), image.affine), path)
    report = taken_in(database, folder, "msd", **pool)
    assert report.known_slices == 5
    assert "5 of its slices are there with other labels" in report.warnings["a"][0]


def test_a_folder_that_has_grown_keeps_what_its_cases_are_for(database, tmp_path):
    options = {"validation": 0.2, "test": 0.2}
    for n in range(10):
        write(tmp_path / "set" / f"c{n:02}.nii.gz", seed=n)
    taken_in(database, tmp_path / "set", **options)
    for n in range(10, 16):
        write(tmp_path / "set" / f"c{n:02}.nii.gz", seed=n)
    report = taken_in(database, tmp_path / "set", **options)
    assert (report.refused, report.new_slices, report.known_slices) == ({}, 30, 50)
