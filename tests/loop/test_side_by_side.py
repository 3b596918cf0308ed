"""Two who change one project at once, and a server that comes back to what is another's by now."""

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.core.project_settings import ProjectSettings
from app.loop import claims, transfers
from app.loop import departures as departures_module
from app.loop import life_cycle as life_cycle_module
from app.loop.life_cycle import archive_project, rename_project
from app.loop.members import remove_member
from app.loop.projects import create_project
from app.settings import Settings
from app.store import Job, JobState, Project, Transfer, TransferKind, database_now, utc_now
from app.transfers.runner import Progress, TransferRunner
from tests.loop.test_leases import annotator, ask, draw, make_pool, slices_of

# SQLite has one writer: there nobody comes between.
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
PATIENCE = 20


def the_project(session) -> Project:
    return session.scalars(select(Project)).one()


def at_once(*acts) -> list[Exception]:
    """Do all of it in threads of their own; what they raised."""
    raised: list[Exception] = []

    def guarded(act) -> None:
        try:
            act()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * PATIENCE)
    return raised


@on_postgresql
def test_a_training_that_is_being_split_leaves_nothing_in_an_archive(database):
    project = make_pool(database, slices=3)
    one = annotator(database, "one")
    for drawn in slices_of(ask(database, project, one, 3)):
        draw(database, one, drawn)
    with database.writing() as session:
        held = claims.claim(session, claims.QUEUES, "w", database_now(session))
    split, waits = threading.Event(), threading.Event()

    def worker() -> None:
        with database.writing() as session:
            claims.split(session, held, [{"slices": [1]}, {"slices": [2]}])
            session.flush()
            split.set()
            # Until whoever archives stands at the job's row, or nearly.
            waits.wait(1)

    def archive() -> None:
        assert split.wait(PATIENCE)
        with database.writing() as session:
            archive_project(session, the_project(session), None)

    assert at_once(worker, archive) == []
    with database.writing() as session:
        states = session.scalars(select(Job.state)).all()
        assert states == [JobState.CANCELLED] * 3
        assert claims.claim(session, claims.QUEUES, "w", database_now(session)) is None


@on_postgresql
def test_who_renames_second_renames_what_the_first_called_it(database):
    with database.writing() as session:
        create_project(session, "a", ProjectSettings())
        transfers.ask(session, TransferKind.EXPORT, "a", "png", {}, None)
    seen, renamed = threading.Event(), threading.Event()

    def second() -> None:
        with database.writing() as session:
            project = the_project(session)
            seen.set()
            assert renamed.wait(PATIENCE)
            rename_project(session, project, "c", None)

    def first() -> None:
        assert seen.wait(PATIENCE)
        with database.writing() as session:
            rename_project(session, the_project(session), "b", None)
        renamed.set()

    assert at_once(first, second) == []
    with database.reading() as session:
        project = the_project(session)
        assert (project.name, project.former_names) == ("c", ["a", "b"])
        assert session.scalars(select(Transfer.project)).all() == ["c"]


@on_postgresql
def test_renaming_and_removing_a_member_do_not_wait_for_each_other(database, monkeypatch):
    project = make_pool(database, slices=2)
    ask(database, project, annotator(database, "one"))
    removing, renaming = threading.Event(), threading.Event()
    lock, check = departures_module.lock_project, life_cycle_module.check_free

    def slow_lock(session, project_id) -> None:
        removing.set()
        renaming.wait(1)
        lock(session, project_id)

    def slow_check(session, name) -> None:
        check(session, name)
        renaming.set()
        time.sleep(0.3)

    monkeypatch.setattr(departures_module, "lock_project", slow_lock)
    monkeypatch.setattr(life_cycle_module, "check_free", slow_check)

    def remove() -> None:
        with database.writing() as session:
            remove_member(session, the_project(session), "one", None)

    def rename() -> None:
        assert removing.wait(PATIENCE)
        with database.writing() as session:
            rename_project(session, the_project(session), "b", None)

    assert at_once(remove, rename) == []


def test_bytes_of_an_import_that_is_anothers_by_now_stay(sqlite_database, tmp_path, monkeypatch):
    folder = tmp_path / "transfers" / "one"
    folder.mkdir(parents=True)
    (folder / "upload.zip").write_bytes(b"x")
    with sqlite_database.writing() as session:
        asked = transfers.ask(session, TransferKind.IMPORT, "p", "png", {}, None, str(folder))
    settings = Settings(data=tmp_path, heartbeat_seconds=0.1)
    server = TransferRunner(sqlite_database, settings, lambda queues: None)
    held = server.claim(asked.id)

    def asleep(*_) -> None:
        with sqlite_database.writing() as session:
            later = utc_now() + timedelta(minutes=1)
            transfers.take_back(session, later, transfers.beats(session))
        deadline = time.monotonic() + PATIENCE
        # It hears of it at its next heartbeat.
        while time.monotonic() < deadline:
            server._running[asked.id].watch(Progress(1, 2, 0, "c"))
            time.sleep(0.05)

    monkeypatch.setattr(server, "_import", asleep)
    server.perform(held)
    with sqlite_database.reading() as session:
        assert session.get_one(Transfer, asked.id).state is JobState.QUEUED
    assert (folder / "upload.zip").exists()


@pytest.mark.parametrize(
    ("cancelled", "seconds", "state"),
    [
        (False, 300, JobState.RUNNING),
        (False, 700, JobState.FAILED),
        (True, 30, JobState.RUNNING),
        (True, 90, JobState.CANCELLED),
    ],
)
def test_a_command_that_was_killed_is_over_at_once_when_somebody_cancels_it(
    sqlite_database, cancelled, seconds, state
):
    with sqlite_database.writing() as session:
        asked = transfers.ask(session, TransferKind.IMPORT, "p", "png", {}, None, None)
        transfers.claim(session, asked.id, utc_now())
        asked.cancel_requested = cancelled
    with sqlite_database.writing() as session:
        transfers.take_back(session, utc_now() + timedelta(seconds=seconds), {})
    with sqlite_database.reading() as session:
        assert session.get_one(Transfer, asked.id).state is state
