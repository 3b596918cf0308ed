"""A folder into a project: what is said of it, what cases are called, what stops and goes on."""

import csv
import json
import os
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.pixels import decode
from app.core.project_settings import ProjectSettings
from app.importing import ImportOptions, ImportStopped, import_folder, keeping
from app.importing.naming import Pseudonyms
from app.loop.projects import create_project
from app.store import Case, Mask, Project, Slice, Transfer, blobs
from app.transfers.terminal import import_data_set
from tests.conftest import picture
from tests.plugins import installed, write_package


def count(database, model) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(model))


def names(database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(Case.name).order_by(Case.id)))


def write(path, seed: int = 0, shape=(8, 9, 5)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 1000, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([0.5, 0.5, 3.0, 1.0])), path)


def taken_in(database, folder, layout: str = "nifti", **options):
    return import_folder(database, layout, folder, "p", ImportOptions(**options))


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


def test_messages_name_files_as_they_lie_in_the_folder(database, tmp_path):
    write(tmp_path / "deep" / "set" / "good.nii.gz")
    (tmp_path / "deep" / "set" / "bad.nii.gz").write_bytes(b"")
    report = taken_in(database, tmp_path / "deep" / "set")
    assert "bad.nii.gz" in report.refused["bad"]
    assert str(tmp_path) not in str(report.to_dict())


def test_a_folder_of_a_short_name_is_not_cut_out_of_words(database, tmp_path, monkeypatch):
    (tmp_path / "d" / "d").mkdir(parents=True)
    write(tmp_path / "d" / "good.nii.gz")
    (tmp_path / "d" / "odd.nii.gz").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    for path in (Path("d"), Path("./d/"), Path("d/../d"), tmp_path / "d"):
        report = taken_in(database, path)
        assert report.refused["odd"].startswith("odd.nii.gz")
        assert "folder" not in report.refused["odd"]
    monkeypatch.chdir(tmp_path / "d")
    assert taken_in(database, Path()).refused["odd"].startswith("odd.nii.gz")


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


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Müller.nii.gz", "Müller"),
        ("Mu\u0308ller.nii.gz", "Müller"),
        ("患者[1].nii.gz", "患者[1]"),
        ("a:b\n.nii.gz", "a_b_"),
        ("².nii.gz", "²"),
        (f"{'x' * 200}.nii.gz", None),
    ],
)
def test_cases_are_called_what_their_files_are_called(database, tmp_path, file, name):
    write(tmp_path / "set" / file)
    assert taken_in(database, tmp_path / "set").cases == 1
    (kept,) = names(database)
    assert len(kept.encode()) <= 200
    assert name in (None, kept)
    assert taken_in(database, tmp_path / "set").known_slices == 5


def test_two_names_that_come_to_the_same_stay_two_cases(database, tmp_path):
    write(tmp_path / "set" / "a:b.nii.gz", seed=1)
    write(tmp_path / "set" / "a?b.nii.gz", seed=2)
    write(tmp_path / "set" / "A_B.nii.gz", seed=3)
    report = taken_in(database, tmp_path / "set")
    assert (report.cases, report.refused) == (3, {})
    assert len({name.casefold() for name in names(database)}) == 3
    assert any("a:b" in line for said in report.warnings.values() for line in said)


def dumped(database) -> str:
    with database.engine.connect() as connection:
        return "".join(
            str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
            for table in ("cases", "transfers", "events", "projects")
        )


def test_pseudonyms_keep_names_out_of_the_database(database, tmp_path, capfd):
    folder, key = tmp_path / "Mustermann", tmp_path / "key.csv"
    write(folder / "Erika Mustermann.nii.gz", seed=1)
    write(folder / "Max Mustermann.nii.gz", seed=2)
    (folder / "Eva Muster.nii.gz").write_bytes(b"nothing")
    with pytest.raises(VolumeInvalid) as refused:
        import_data_set(database, "nifti", folder, "p", ImportOptions(pseudonyms=key))
    first, second, third = (f"{pseudonym(key)}-000{n}" for n in (1, 2, 3))
    assert second in str(refused.value)
    assert names(database) == [first, third]
    with key.open() as file:
        rows = {row["name"]: row["pseudonym"] for row in csv.DictReader(file)}
    assert rows["Max Mustermann"] == third
    assert key.stat().st_mode & 0o077 == 0
    # The same folder again, with one more, is told from the key.
    write(folder / "Adam Neu.nii.gz", seed=3)
    report = import_folder(database, "nifti", folder, "p", ImportOptions(pseudonyms=key))
    assert (report.new_slices, report.known_slices) == (5, 10)
    # What goes wrong before there is a report, and patterns of names, are kept of no import.
    patterns = ImportOptions(pseudonyms=key, images="Erika Mustermann{case}.nii.gz")
    with pytest.raises(VolumeInvalid):
        import_data_set(database, "nifti", folder, "p", patterns)
    with pytest.raises(InvalidInput, match="is not a folder"):
        import_data_set(database, "nifti", folder / "Max Mustermann.nii.gz", "p", patterns)
    assert "Muster" not in dumped(database)
    assert "Muster" not in capfd.readouterr().out
    key.write_text("name,pseudonym\n")
    with pytest.raises(InvalidInput, match="no table of pseudonyms"):
        import_folder(database, "nifti", folder, "p", ImportOptions(pseudonyms=key))


def pseudonym(key) -> str:
    """What the pseudonyms of a key file begin with."""
    with key.open() as file:
        return next(csv.DictReader(file))["pseudonym"].rpartition("-")[0]


def test_two_keys_never_give_one_pseudonym(database, tmp_path):
    for n, person in enumerate(("PatA", "PatB")):
        write(tmp_path / person / f"{person}.nii.gz", seed=n)
        options = ImportOptions(pseudonyms=tmp_path / f"{person}.csv")
        assert import_folder(database, "nifti", tmp_path / person, "p", options).cases == 1
    assert len(names(database)) == 2


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


def test_a_name_that_is_no_text_does_no_harm(database, tmp_path):
    folder = tmp_path / "set"
    for name in (b"caf\xe9.nii.gz", b"red\x1b[31m.nii.gz"):
        write(folder / "c.nii.gz", seed=len(name))
        (folder / "c.nii.gz").rename(folder / os.fsdecode(name))
    (folder / os.fsdecode(b"bad\xff.nii.gz")).write_bytes(b"nothing")
    report = taken_in(database, folder, pseudonyms=tmp_path / "key.csv")
    assert (report.cases, len(report.refused)) == (2, 1)
    json.dumps(report.to_dict(), ensure_ascii=False).encode()
    again = taken_in(database, folder, pseudonyms=tmp_path / "key.csv")
    assert again.known_slices == 10
    named = import_folder(database, "nifti", folder, "named", ImportOptions())
    assert named.cases == 2
    said = json.dumps(named.to_dict(), ensure_ascii=False).encode()
    assert b"\x1b" not in said


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


def test_other_pixels_or_another_size_in_the_same_place_are_refused(database, tmp_path):
    write(tmp_path / "set" / "c.nii.gz", seed=1)
    taken_in(database, tmp_path / "set")
    write(tmp_path / "set" / "c.nii.gz", seed=2)
    assert "other pixels" in taken_in(database, tmp_path / "set").refused["c"]
    write(tmp_path / "set" / "c.nii.gz", shape=(8, 8, 6))
    assert "one stack" in taken_in(database, tmp_path / "set").refused["c"]
    assert count(database, Slice) == 5


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


def test_links_that_lead_back_and_layouts_that_fail_are_told_in_words(database, tmp_path):
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "x").symlink_to(tmp_path / "loop")
    with pytest.raises(VolumeInvalid, match="no layout that is known"):
        taken_in(database, tmp_path / "loop", "auto")


def test_each_file_whose_name_is_withheld_has_its_line(database, tmp_path):
    folder = tmp_path / "set"
    write(folder / "Erika Mustermann.nii.gz")
    for name in ("Arztbrief Eins.pdf", "Arztbrief Zwei.pdf"):
        (folder / name).write_bytes(b"letter")
    report = taken_in(database, folder, pseudonyms=tmp_path / "key.csv")
    assert len(report.left_out) == 2
    assert "Arztbrief" not in str(report.to_dict())


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


def test_imports_that_share_a_key_take_turns(tmp_path):
    key = tmp_path / "key.csv"
    one, two = Pseudonyms(key, tmp_path), Pseudonyms(key, tmp_path)
    first, second = one.names(["Hans"]).kept, two.names(["Eva"]).kept
    assert first != second
    assert Pseudonyms(key, tmp_path).names(["Eva", "Hans"]).kept == (*second, *first)
    before = key.read_text()
    assert Pseudonyms(key, tmp_path).names(["Max"], keep=False).kept not in (first, second)
    assert key.read_text() == before


def test_what_is_withheld_are_whole_words_the_longest_first(tmp_path):
    folder = tmp_path / "set"
    write(folder / "Max" / "Max Muster.nii.gz")
    key = Pseudonyms(tmp_path / "key.csv", folder)
    kept = key.names(["Max_Max Muster"]).kept[0]
    said = key.without("case 'Max_Max Muster': Max/Max Muster.nii.gz and Maximum, (Max)")
    assert said == f"case {kept!r}: (name withheld)/(name withheld) and Maximum, ((name withheld))"


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


def test_a_folder_that_has_grown_keeps_what_its_cases_are_for(database, tmp_path):
    options = {"validation": 0.2, "test": 0.2}
    for n in range(10):
        write(tmp_path / "set" / f"c{n:02}.nii.gz", seed=n)
    taken_in(database, tmp_path / "set", **options)
    for n in range(10, 16):
        write(tmp_path / "set" / f"c{n:02}.nii.gz", seed=n)
    report = taken_in(database, tmp_path / "set", **options)
    assert (report.refused, report.new_slices, report.known_slices) == ({}, 30, 50)
