"""Data sets of several channels and splits, and what nnU-Net itself says of them."""

import json

import nibabel as nib
import numpy as np
import pytest

from app.core.splits import Split
from app.exporting import ExportOptions, export_project
from app.formats.nifti_cases import read_nifti
from tests.exports import dicom_series, keep, labels_of, make_project

RNG = np.random.default_rng(0)


@pytest.fixture
def database(sqlite_database):
    return sqlite_database


def export(database, tmp_path, format_="nifti"):
    out = tmp_path / "out" / format_
    return out, export_project(database, "brain", out, ExportOptions(format_))


def channels_and_splits(database, tmp_path):
    """Two channels, three cases, a split each."""
    make_project(database, ("background", "a", "b"), ("T1", "FLAIR"))
    kept = {}
    for name, split in (("p", Split.POOL), ("v", Split.VALIDATION), ("t", Split.TEST)):
        values = RNG.integers(0, 900, (5, 4, 3, 2)).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.diag([1, 2, 3, 1.0])), tmp_path / f"{name}.nii.gz")
        volume = read_nifti([tmp_path / f"{name}.nii.gz"])
        marks = labels_of(volume, 3)
        keep(database, name, volume, marks, unlabelled=[0] if name == "p" else [], split=split)
        kept[name] = values
    return kept


def test_nnunet_holds_channels_splits_and_the_ignore_label(database, tmp_path):
    kept = channels_and_splits(database, tmp_path)
    out, report = export(database, tmp_path, "nnunet")
    assert "copy it there before training" in report.remarks[0]
    raw = out / "Dataset001_brain"
    described = json.loads((raw / "dataset.json").read_text())
    assert described["channel_names"] == {"0": "T1", "1": "FLAIR"}
    assert described["labels"] == {"background": 0, "a": 1, "b": 2, "ignore": 3}
    assert (described["numTraining"], described["file_ending"]) == (2, ".nii.gz")
    assert json.loads((raw / "splits_final.json").read_text()) == [{"train": ["p"], "val": ["v"]}]
    for name, values in kept.items():
        part = "Ts" if name == "t" else "Tr"
        for n in range(2):
            image = nib.load(raw / f"images{part}" / f"{name}_{n:04d}.nii.gz")
            np.testing.assert_array_equal(np.asanyarray(image.dataobj), values[..., n])
    label = np.asanyarray(nib.load(raw / "labelsTr" / "p.nii.gz").dataobj)
    assert (label == 3).any(axis=(0, 1)).tolist() == [True, False, False]


def test_names_that_nnunet_keeps_for_itself_are_told(database, tmp_path):
    make_project(database, ("nothing", "ignore", "background"))
    nib.save(nib.Nifti1Image(np.zeros((5, 4, 3), np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    volume = read_nifti([tmp_path / "a.nii.gz"])
    keep(database, "a", volume, labels_of(volume, 3))
    out, report = export(database, tmp_path, "nnunet")
    described = json.loads((out / "Dataset001_brain" / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "ignore-1": 1, "background-2": 2}
    assert described["classes"] == ["nothing", "ignore", "background"]
    assert [line.split("the class ")[1] for line in report.remarks] == [
        "'nothing' is called 'background' there",
        "'ignore' is called 'ignore-1' there",
        "'background' is called 'background-2' there",
    ]


@pytest.mark.parametrize("tilted", [False, True])
def test_nnunet_itself_finds_nothing_to_complain_of(database, tmp_path, tilted):
    reason = "nnU-Net is not installed: pip install nnunetv2"
    checks = pytest.importorskip(
        "nnunetv2.experiment_planning.verify_dataset_integrity", reason=reason
    )
    if tilted:
        make_project(database)
        volume, _ = dicom_series(tmp_path / "in" / "series", step=(0, 0.8, 2.4))
        keep(database, "a", volume, labels_of(volume), unlabelled=[1])
    else:
        channels_and_splits(database, tmp_path)
    out, _ = export(database, tmp_path, "nnunet")
    checks.verify_dataset_integrity(str(out / "Dataset001_brain"), num_processes=1)


def test_decathlon_and_nifti_hold_channels_and_splits(database, tmp_path):
    kept = channels_and_splits(database, tmp_path)
    splits = {"p": "pool", "v": "validation", "t": "test"}
    out, _ = export(database, tmp_path, "nifti")
    described = json.loads((out / "sfumato.json").read_text())
    assert (described["splits"], described["ignore"]) == (splits, 255)
    assert described["classes"] == ["background", "a", "b"]
    for name, values in kept.items():
        np.testing.assert_array_equal(
            np.asanyarray(nib.load(out / f"images/{name}.nii.gz").dataobj), values
        )
    # The other name that the format goes by.
    out, _ = export(database, tmp_path, "msd")
    described = json.loads((out / "dataset.json").read_text())
    assert {p["image"][11:12]: p["split"] for p in described["training"]} == splits
    assert described["modality"] == {"0": "T1", "1": "FLAIR"}
