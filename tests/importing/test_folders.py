"""A folder into a project: what is said of it, what cases are called, what stops and goes on."""

import threading

import pytest
from sqlalchemy.exc import OperationalError

from app.core.errors import VolumeInvalid
from app.core.project_settings import ProjectSettings
from app.importing import ImportOptions, ImportStopped, import_folder, keeping
from app.loop import deletes
from app.loop.access import HERE
from app.loop.deletions import of_project
from app.loop.projects import create_project
from app.store import Project, Slice, Transfer
from tests.conftest import picture
from tests.importing.folders import count, names, taken_in, write
from tests.plugins import installed, write_package


def test_a_check_says_what_would_come_in_and_keeps_nothing(database, tmp_path):
    for n in range(3):
        write(tmp_path / "set" / f"c{n}.nii.gz", seed=n)
    (tmp_path / "set" / "c1.nii.gz").write_bytes(b"nothing")
    report = taken_in(database, tmp_path / "set", check=True)
    assert (report.checked, report.cases, report.new_slices, report.known_slices) == (
        True,
        2,
        10,
        0,
    )
    assert list(report.refused) == ["c1"]
    first = report.taken[0]
    assert (first.name, first.slices, first.height, first.width) == ("c0", 5, 9, 8)
    assert first.spacing == {"row": 0.5, "column": 0.5, "slice": 3.0}
    assert (first.plane, first.channels) == ("axial", ["image"])
    assert first.low < first.high
    assert (count(database, Project), count(database, Slice), count(database, Transfer)) == (
        0,
        0,
        0,
    )
    assert taken_in(database, tmp_path / "set").new_slices == 10
    again = taken_in(database, tmp_path / "set", check=True)
    assert (again.new_slices, again.known_slices) == (0, 10)


def test_the_one_folder_in_a_folder_is_descended_into(database, tmp_path):
    case = tmp_path / "set" / "data" / "images" / "c"
    case.mkdir(parents=True)
    (case / "000.png").write_bytes(picture())
    (tmp_path / "set" / "README.txt").write_text("read me")
    (tmp_path / "set" / "__MACOSX").mkdir()
    assert taken_in(database, tmp_path / "set", "png").cases == 1
    (tmp_path / "set" / "more").mkdir()
    with pytest.raises(VolumeInvalid):
        taken_in(database, tmp_path / "set", "png")


def test_a_check_compares_with_what_is_there(database, tmp_path):
    write(tmp_path / "set" / "c.nii.gz", seed=1)
    write(tmp_path / "set" / "d.nii.gz", seed=2)
    taken_in(database, tmp_path / "set")
    write(tmp_path / "set" / "c.nii.gz", seed=3)
    write(tmp_path / "set" / "e.nii.gz", seed=4)
    report = taken_in(database, tmp_path / "set", check=True)
    assert list(report.refused) == ["c"]
    assert (report.cases, report.new_slices, report.known_slices) == (2, 5, 5)
    assert count(database, Slice) == 10


def test_an_import_that_is_stopped_goes_on_where_it_was(database, tmp_path):
    for n in range(3):
        write(tmp_path / "set" / f"c{n}.nii.gz", seed=n, shape=(8, 9, 20))

    def stop(progress):
        if progress.slices >= 40:
            raise ImportStopped("enough")

    with pytest.raises(ImportStopped):
        import_folder(database, "nifti", tmp_path / "set", "p", ImportOptions(), stop)
    assert count(database, Slice) == 40
    report = taken_in(database, tmp_path / "set")
    assert (report.cases, report.new_slices, report.known_slices) == (3, 20, 40)


def test_others_write_between_the_slices_of_one_case(database, tmp_path):
    write(tmp_path / "set" / "large.nii.gz", shape=(64, 64, 400))
    with database.writing() as session:
        create_project(session, "other", ProjectSettings(classes=["a", "b"]))
    seen: list[int] = []

    def write_elsewhere(progress):
        # From another thread, as another annotator would: a transaction of ours would block it.
        def work():
            with database.writing() as session:
                session.get_one(Project, 1).query = {"size": progress.slices + 1}

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(2)
        assert not thread.is_alive()
        seen.append(progress.slices)

    import_folder(database, "nifti", tmp_path / "set", "p", ImportOptions(), write_elsewhere)
    assert len(set(seen)) > 5


def test_a_database_that_is_locked_for_a_moment_is_waited_for(database, tmp_path, monkeypatch):
    write(tmp_path / "set" / "c.nii.gz")
    failures = [1, 2]
    original = keeping.keep_slices

    def locked(*arguments):
        if failures:
            failures.pop()
            raise OperationalError("INSERT", {}, Exception("database is locked"))
        return original(*arguments)

    monkeypatch.setattr(keeping, "keep_slices", locked)
    assert taken_in(database, tmp_path / "set").new_slices == 5
    assert not failures


def test_processes_give_what_this_process_gives(database, tmp_path):
    for n in range(5):
        write(tmp_path / "set" / f"c{n}.nii.gz", seed=n, shape=(8, 9, 3 + 7 * n))
    (tmp_path / "set" / "c2.nii.gz").write_bytes(b"nothing")
    report = taken_in(database, tmp_path / "set", processes=2)
    assert (report.cases, list(report.refused)) == (4, ["c2"])
    # In the order of the folder, whoever was quicker: the same again gives the same ids.
    assert names(database) == ["c0", "c1", "c3", "c4"]
    assert taken_in(database, tmp_path / "set").known_slices == report.new_slices
    (tmp_path / "empty").mkdir()
    with pytest.raises(VolumeInvalid, match="no NIfTI"):
        taken_in(database, tmp_path / "empty", processes=1)


_DEADLY = """
import os
import numpy as np
from sfumato import CaseFiles, CaseVolume, ChannelStack, DataSet


class Deadly:
    words = "cases of which one ends its reader and one raises what it likes"

    def read(self, folder, options):
        return DataSet([CaseFiles(name, lambda name=name: _read(name)) for name in "abcd"])


def _read(name):
    if name == "b":
        os._exit(9)
    if name == "c":
        raise KeyError("the patient's name")
    return CaseVolume((ChannelStack(np.full((2, 4, 4), ord(name), np.uint8)),))


LAYOUT = Deadly()
"""


def test_what_brings_its_reader_down_is_named_and_the_others_come_in(database, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "set").mkdir()
    write_package(
        tmp_path / "package",
        {"deadly_layout": _DEADLY},
        "[sfumato.layouts]\ndeadly = deadly_layout:LAYOUT\n",
    )
    with installed(tmp_path / "package"):
        report = taken_in(database, tmp_path / "set", layout="deadly", processes=1)
    assert names(database) == ["a", "d"]
    assert "ended with code 9" in report.refused["b"]
    assert "KeyError" in report.refused["c"]
    assert "patient" not in report.refused["c"]


def test_links_that_lead_back_and_layouts_that_fail_are_told_in_words(database, tmp_path):
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "x").symlink_to(tmp_path / "loop")
    with pytest.raises(VolumeInvalid, match="no layout that is known"):
        taken_in(database, tmp_path / "loop", "auto")


def test_a_case_that_no_database_holds_is_its_own_matter(database, tmp_path, monkeypatch):
    for n in range(3):
        write(tmp_path / "set" / f"c{n}.nii.gz", seed=n)
    original = keeping.keep_slices

    def too_large(session, project, incoming, *others):
        if incoming.name == "c1":
            raise OverflowError("Python int too large")
        return original(session, project, incoming, *others)

    monkeypatch.setattr(keeping, "keep_slices", too_large)
    report = taken_in(database, tmp_path / "set")
    assert (report.cases, list(report.refused)) == (2, ["c1"])
    assert "OverflowError" in report.refused["c1"]


def test_a_refused_case_says_nothing_of_the_slices_of_others(database, tmp_path):
    write(tmp_path / "set" / "a.nii.gz")
    (tmp_path / "set" / "b.nii.gz").write_bytes(b"nothing")
    assert "had come in" not in taken_in(database, tmp_path / "set").refused["b"]


def test_a_project_that_is_deleted_meanwhile_is_not_made_again(database, tmp_path):
    write(tmp_path / "set" / "a.nii.gz")
    with database.writing() as session:
        create_project(session, "p", ProjectSettings())

    def delete(progress):
        with database.reading() as session:
            planned = of_project(session, HERE, "p")
        for step in deletes.steps(planned, "p", None):
            with database.writing() as session:
                step(session)

    with pytest.raises(ImportStopped, match="was deleted"):
        import_folder(database, "nifti", tmp_path / "set", "p", ImportOptions(), delete)
    assert count(database, Project) == 0
