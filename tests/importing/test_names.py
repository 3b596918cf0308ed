"""What cases and files are called: in the project, in messages, and not with pseudonyms."""

import csv
import json
import os
from pathlib import Path

import pytest

from app.core.errors import InvalidInput, VolumeInvalid
from app.formats.files import natural
from app.importing import ImportOptions, import_folder
from app.importing.naming import Pseudonyms
from app.transfers.terminal import import_data_set
from tests.importing.folders import names, taken_in, write


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


def test_each_file_whose_name_is_withheld_has_its_line(database, tmp_path):
    folder = tmp_path / "set"
    write(folder / "Erika Mustermann.nii.gz")
    for name in ("Arztbrief Eins.pdf", "Arztbrief Zwei.pdf"):
        (folder / name).write_bytes(b"letter")
    report = taken_in(database, folder, pseudonyms=tmp_path / "key.csv")
    assert len(report.left_out) == 2
    assert "Arztbrief" not in str(report.to_dict())


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


def test_names_that_differ_in_capitals_alone_have_an_order_of_their_own():
    expected = ["a", "a02", "A2", "a2", "a10", "GOOD.nii", "Good.nii", "good.nii"]
    assert sorted(expected, key=natural) == expected
    backwards = expected[::-1]
    assert sorted(backwards, key=natural) == expected
