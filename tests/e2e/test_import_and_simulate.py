"""From files to a better model over HTTP, with simulated annotators, and out again."""

import json
import time
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from sqlalchemy import func, select

from app.core.effort import Effort
from app.core.errors import VolumeInvalid
from app.core.splits import Split
from app.exporting import export_project
from app.formats.phantom import write_phantom
from app.importing import ImportOptions
from app.settings import Settings
from app.store import Database, Label, Mask, Slice, Truth
from app.transfers.terminal import import_data_set
from worker.simulation.annotators import Behaviour
from worker.simulation.oracle import disturb
from worker.simulation.service import running_service
from worker.simulation.simulate import _all_wait, simulate_project

SMALL = [
    "query.size=4",
    "training.width=2",
    "training.epochs=2",
    "training.batch_size=4",
    "training.learning_rate=0.01",
]


def do_import(database, folder, assignments=(), **changes):
    layout, name = changes.pop("layout", "msd"), changes.pop("project_name", "phantom")
    options = {"masks": "oracle", "validation": 0.25, "test": 0.25, "assignments": assignments}
    return import_data_set(database, layout, folder, name, ImportOptions(**{**options, **changes}))


def count(database, model, *conditions) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(model).where(*conditions))


@pytest.fixture
def folder(tmp_path):
    write_phantom(tmp_path / "phantom", cases=4, slices=5, size=32, seed=0)
    return tmp_path / "phantom"


def test_an_import_sets_splits_by_case_and_hides_the_pools_masks(database, folder):
    report = do_import(database, folder)
    assert (report.cases, report.new_slices) == (4, 20)
    assert count(database, Truth) == count(database, Slice, Slice.split == Split.POOL) == 10
    assert count(database, Label) == 10


def test_an_interrupted_import_goes_on_and_keeps_nothing_twice(database, folder, monkeypatch):
    from app.importing import keeping

    done = []
    original = keeping.keep_slices

    def interrupted(*arguments):
        done.append(1)
        if len(done) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(keeping, "keep_slices", interrupted)
        with pytest.raises(KeyboardInterrupt):
            do_import(database, folder, SMALL)
    # What was kept stays: the first case.
    assert count(database, Slice) == 5
    report = do_import(database, folder, SMALL)
    assert (report.new_slices, report.known_slices) == (15, 5)
    report = do_import(database, folder, SMALL)
    assert (report.new_slices, report.known_slices) == (0, 20)
    assert count(database, Slice) == 20
    assert count(database, Truth) + count(database, Mask) == 20


def test_a_case_that_cannot_be_read_is_named_and_the_others_are_taken(database, folder):
    broken = folder / "imagesTr" / "phantom_001.nii.gz"
    broken.write_bytes(broken.read_bytes()[:500])
    (folder / "labelsTr" / "phantom_002.nii.gz").unlink()
    with pytest.raises(VolumeInvalid, match="2 cases were left out") as refused:
        do_import(database, folder)
    assert "phantom_001" in str(refused.value)
    assert "phantom_002.nii.gz is not there" in str(refused.value)
    assert count(database, Slice) == 10


def test_labels_are_kept_or_merged(database, folder):
    path = folder / "labelsTr" / "phantom_000.nii.gz"
    marks = np.asarray(nib.load(path).dataobj).copy()
    marks[0, 0, 0] = 2
    nib.save(nib.Nifti1Image(marks, nib.load(path).affine), path)
    with pytest.raises(VolumeInvalid, match="--merge-labels"):
        do_import(database, folder)
    report = do_import(database, folder, project_name="merged", merge=True)
    assert report.cases == 4


def test_settings_are_set_once(database, folder):
    do_import(database, folder, SMALL)
    with pytest.raises(Exception, match="other settings"):
        do_import(database, folder, ["query.size=9"])
    for wrong in ("size=4", "query.colour=red", "query.size=many"):
        with pytest.raises(Exception, match=r"cannot set|cannot be used"):
            do_import(database, folder, [wrong], project_name="other")


def test_simulated_annotators_close_the_loop_over_http(folder, tmp_path):
    data = tmp_path / "data"
    with running_service(data, tmp_path / "log") as url:
        database = Database(f"sqlite:///{data / 'sfumato.db'}")
        do_import(database, folder, SMALL)
        behaviour = Behaviour(skip_rate=0.2, error_rate=0.3, effort=Effort(slice_seconds=500))
        results = simulate_project(
            database, Settings(data=data), "phantom", 2, 2, None, behaviour, 0, url,
            tmp_path / "curve.png",
        )  # fmt: skip
        assert [r.round for r in results] == [1, 2]
        assert results[0].labelled < results[1].labelled <= 8
        assert {r.measured_on for r in results} == {"test"}
        assert all(0 <= r.dice_case <= 1 for r in results)
        assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")

        in_pool = select(Slice.id).where(Slice.split == Split.POOL)
        before = count(database, Label, Label.slice_id.in_(in_pool))
        budget = simulate_project(
            database, Settings(data=data), "phantom", 5, 3, 1, Behaviour(), 1, None,
            tmp_path / "curve.png",
        )  # fmt: skip
        # One more than there was: labels that came while the last model trained count too.
        assert [r.labelled for r in budget] == [before + 1]

        with database.reading() as session:
            sources = set(session.scalars(select(Mask.source).distinct()))
            assert {str(s) for s in sources} == {"oracle", "import"}
            noted = session.scalars(select(Mask.seconds).where(Mask.seconds >= 500)).all()
            # Each took a look, and the outlines of phantoms some seconds more; nobody waited.
            assert len(noted) >= before
            assert max(noted) > 501
        check_export(database, folder, tmp_path / "export")
        database.dispose()


def test_what_a_crew_waits_for_is_said_when_all_of_it_has_waited_for_long():
    def annotator(waits, alive=True):
        return SimpleNamespace(waits=waits, is_alive=lambda: alive)

    long_ago, now = time.monotonic() - 60, time.monotonic()
    waiting = annotator(("with others", long_ago))
    assert _all_wait([waiting, annotator(None, alive=False)]) == "with others"
    assert _all_wait([waiting, annotator(None)]) == ""
    assert _all_wait([waiting, annotator(("with others", now))]) == ""
    assert _all_wait([]) == ""


def check_export(database, folder, out) -> None:
    """Images come back voxel for voxel; what nobody drew is 255, not background."""
    assert export_project(database, "phantom", out).cases >= 3
    description = json.loads((out / "dataset.json").read_text())
    assert (out / "model.safetensors").stat().st_size > 1000
    for case in description["training"]:
        original = nib.load(folder / case["image"])
        exported = nib.load(out / case["image"])
        np.testing.assert_array_equal(np.asarray(exported.dataobj), np.asarray(original.dataobj))
        np.testing.assert_array_equal(exported.affine, original.affine)
        marks = np.asarray(nib.load(out / case["label"]).dataobj)
        drawn = [k for k in range(marks.shape[2]) if not (marks[:, :, k] == 255).any()]
        assert len(drawn) == len(case["labelled_slices"])


def test_mistakes_change_a_mask_and_keep_its_classes():
    marks = np.zeros((20, 20), dtype=np.uint8)
    marks[5:12, 5:12] = 2
    changed = [disturb(marks, np.random.default_rng(seed)) for seed in range(20)]
    assert any((c != marks).any() for c in changed)
    assert all(set(np.unique(c)) <= {0, 2} for c in changed)
    assert all((disturb(marks * 0, np.random.default_rng(s)) == 0).all() for s in range(8))
