"""What no backup comes of, and what no installation: nothing is left half done."""

import tarfile
from pathlib import Path

import pytest

from app.backup import make_backup, restore_backup, verify_backup
from app.backup.archive import ArchiveWriter
from app.backup.manifest import Header
from app.core.errors import AlreadyExists, BackupInvalid, NotEmpty, NotFound
from app.store import utc_now
from app.store.migrate import migrate, newest_schema
from tests.backup.installations import engine_of, everything
from tests.loop.test_leases import annotator, draw, make_pool


@pytest.fixture
def backup(sqlite_database, tmp_path) -> Path:
    make_pool(sqlite_database, slices=3)
    draw(sqlite_database, annotator(sqlite_database, "one"), 1)
    make_backup(sqlite_database, tmp_path / "backup")
    return tmp_path / "backup"


def members(path: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return tar.getmembers()


@pytest.fixture
def target(fresh):
    """An installation with nothing in it but its tables."""
    database = fresh("sqlite")
    migrate(database)
    return database


def is_refused(
    database, path: Path, words: str = "damaged|not whole|no backup|other columns|cannot be read"
) -> None:
    """Restoring is refused and changes nothing."""
    with pytest.raises(BackupInvalid, match=words):
        restore_backup(database, path)
    assert not any(everything(database).values())


def test_a_backup_that_fails_leaves_no_file(database, tmp_path):
    make_pool(database, slices=3)
    (tmp_path / "out").mkdir()

    def fail(what: str, done: int) -> None:
        if what == "blobs" and done == 2:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        make_backup(database, tmp_path / "out" / "backup", fail)
    assert list((tmp_path / "out").iterdir()) == []
    make_backup(database, tmp_path / "out" / "backup")
    only = tmp_path / "out" / "backup"
    assert list((tmp_path / "out").iterdir()) == [only]
    assert only.stat().st_mode & 0o777 == 0o600


def test_an_older_backup_is_never_written_over(backup, sqlite_database):
    whole = backup.read_bytes()
    with pytest.raises(AlreadyExists, match="choose another name"):
        make_backup(sqlite_database, backup)
    assert backup.read_bytes() == whole


def test_there_must_be_something_to_save(fresh, tmp_path):
    with pytest.raises(NotFound, match="nothing to save"):
        make_backup(fresh("sqlite"), tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_an_installation_that_holds_something_is_left_alone(database, backup):
    annotator(database, "somebody")
    before = everything(database)
    with pytest.raises(NotEmpty, match=r"not empty \(accounts 1\)"):
        restore_backup(database, backup)
    assert everything(database) == before


def test_a_backup_that_was_cut_off_is_refused(backup, target, tmp_path):
    whole = backup.read_bytes()
    cut = tmp_path / "cut"
    ends = [0, 100, 512, len(whole) // 3]
    ends += [member.offset for member in members(backup)]
    ends += [member.offset_data + member.size // 2 for member in members(backup)]
    for end in ends:
        cut.write_bytes(whole[:end])
        is_refused(target, cut)


def test_one_changed_byte_in_any_part_is_found(backup, target, tmp_path):
    changed = tmp_path / "changed"
    for member in members(backup):
        for at in (member.offset + 20, member.offset_data + member.size // 2):
            body = bytearray(backup.read_bytes())
            body[at] ^= 0x10
            changed.write_bytes(body)
            is_refused(target, changed)


def test_a_part_that_was_taken_out_or_put_in_is_found(backup, target, tmp_path):
    for left_out in members(backup):
        with tarfile.open(backup) as old, tarfile.open(tmp_path / "other", "w") as new:
            for member in old.getmembers():
                if member.name != left_out.name:
                    new.addfile(member, old.extractfile(member))
        is_refused(target, tmp_path / "other")
    with tarfile.open(backup) as old, tarfile.open(tmp_path / "other", "w") as new:
        for member in old.getmembers():
            new.addfile(member, old.extractfile(member))
            if member.name == "backup.json":
                new.add(__file__, "../../etc/passwd")
    is_refused(target, tmp_path / "other", "it holds '../../etc/passwd'")


def test_what_is_no_backup_is_refused(target, tmp_path):
    (tmp_path / "text").write_text("not a backup\n" * 1000)
    is_refused(target, tmp_path / "text", "no backup of Sfumato")
    with tarfile.open(tmp_path / "tar", "w") as tar:
        tar.add(__file__, "backup.json")
    is_refused(target, tmp_path / "tar", "damaged")


def header(**changes) -> Header:
    moment = {"version": "9.9", "engine": "sqlite", "made_at": utc_now()}
    return Header(**{"revision": newest_schema(), **moment, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"revision": "9999"}, "made by Sfumato 9.9.*newer Sfumato"), ({"format": 2}, "format 2")],
)
def test_a_newer_one_is_refused_in_words(changes, words, target, tmp_path):
    with (tmp_path / "newer").open("wb") as file:
        ArchiveWriter(file, header(**changes)).finish({}, [])
    is_refused(target, tmp_path / "newer", words)


def test_rows_that_no_database_would_take_are_refused_by_name(database, fresh, tmp_path):
    of_token = {"sha256": "0" * 64, "created_at": utc_now().isoformat(), "revoked_at": None}
    of_token["project_id"] = None
    cases = {
        "refer with account_id to accounts 7|not take a row of tokens": {"account_id": 7},
        "other columns": {"accounts": 7},
        "a row of tokens cannot be read": {"account_id": 7, "created_at": "yesterday"},
    }
    for words, changes in cases.items():
        with (tmp_path / "odd").open("wb") as file:
            archive = ArchiveWriter(file, header())
            archive.add_table("tokens", [{"id": 1, **of_token, **changes}])
            archive.finish({}, [])
        with pytest.raises(BackupInvalid, match=words):
            restore_backup(fresh(engine_of(database)), tmp_path / "odd")
        with pytest.raises(BackupInvalid):
            list(verify_backup(tmp_path / "odd"))
