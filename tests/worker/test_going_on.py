"""A training whose worker dies goes on from its checkpoint in the database, on another worker."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from app.core.liveness import Silence
from app.loop import checkpoints, claims, jobs
from app.loop.access import HERE, Reader
from app.loop.deletions import of_project, of_slice
from app.settings import Settings
from app.store import CheckpointPart, Database, Job, JobState, ModelVersion, Role, blobs, utc_now
from app.sweep import sweep_once
from tests.conftest import RecordingDispatcher
from tests.loop.deleting import delete, labelled
from tests.people import named_account
from tests.worker.projects import count, job_of, label_batch, make_project, runner
from tests.worker.test_persistence import away
from worker.steps import checkpoints as kept
from worker.steps import train as train_step

ALWAYS = 1e-9


class Killed(BaseException):
    """As a worker's end: nothing is told of it."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(kept, "PART_BYTES", 20_000)


def killed_at(monkeypatch, step: int):
    """The next worker dies before this step; those after it live."""
    learn, left = train_step.learn, [step]

    def mortal(description, lesson, *rest, **more):
        def on_step():
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            lesson.on_step()

        return learn(description, replace(lesson, on_step=on_step), *rest, **more)

    monkeypatch.setattr(train_step, "learn", mortal)


def die(database: Database) -> None:
    """A worker's end in the middle of its training; the sweep takes its job back."""
    with pytest.raises(Killed):
        runner(database, checkpoint_seconds=ALWAYS).work()
    with database.writing() as session:
        claims.sweep(session, utc_now(), claims.beats(session), utc_now() - utc_now(), 3)


def weights_in(database: Database) -> bytes:
    with database.reading() as session:
        return blobs.get(session, session.scalars(select(ModelVersion)).one().weights_sha256)


def parts_in(database: Database) -> tuple[int, ...]:
    """Parts of checkpoints, and of how many versions they are."""
    with database.reading() as session:
        versions = func.count(CheckpointPart.version.distinct())
        return tuple(session.execute(select(func.count(CheckpointPart.job_id), versions)).one())


def sweep(database: Database) -> None:
    sweep_once(database, RecordingDispatcher(), Settings(), Silence(60))


def test_another_worker_goes_on_and_comes_to_the_same_weights(
    database, sqlite_template, tmp_path, monkeypatch
):
    import shutil

    shutil.copy(sqlite_template, tmp_path / "whole.db")
    other = Database(f"sqlite:///{tmp_path / 'whole.db'}")
    label_batch(other, make_project(other))
    runner(other).work()
    whole = weights_in(other)
    other.dispose()
    label_batch(database, make_project(database))
    with monkeypatch.context() as patched:
        killed_at(patched, 3)
        die(database)
        found, versions = parts_in(database)
        # In several parts, and one checkpoint alone: each has taken the last one's place.
        assert found > 1
        assert versions == 1
        assert job_of(database).lost == 1
        reached = job_of(database).progress
        runner(database).work()
    assert reached
    assert job_of(database).state is JobState.SUCCEEDED
    assert weights_in(database) == whole
    with database.reading() as session:
        scores = session.scalars(select(ModelVersion)).one().scores
    assert [one["member"] for one in scores["resumed"]] == [1]
    assert parts_in(database) == (0, 0)
    assert job_of(database).checkpoint is None


def test_a_checkpoint_that_was_never_whole_is_not_gone_on_from(database, monkeypatch):
    label_batch(database, make_project(database))
    with monkeypatch.context() as patched:
        killed_at(patched, 3)
        die(database)
    with database.writing() as session:
        job = job_of(database)
        held = claims.claim(session, claims.QUEUES, "another", utc_now())
        version = checkpoints.next_version(session, held)
        checkpoints.put_part(session, held, version, 0, b"half of it")
        before = checkpoints.load(session, job.id)
        assert before
        assert b"half of it" not in before
        claims.release(session, held)
    sweep(database)
    assert parts_in(database)[1] == 1
    runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED


def test_a_database_that_is_away_costs_a_checkpoint_and_not_the_training(database, monkeypatch):
    label_batch(database, make_project(database))
    tried = []

    def not_now(session, held):
        tried.append(held)
        raise away()

    monkeypatch.setattr(checkpoints, "next_version", not_now)
    runner(database, checkpoint_seconds=ALWAYS).work()
    assert tried
    assert job_of(database).state is JobState.SUCCEEDED


def test_a_checkpoint_counts_the_workers_that_were_lost_before_it_no_more(database, monkeypatch):
    label_batch(database, make_project(database))
    # More deaths than one job may cause; each of these workers got it further.
    for _ in range(4):
        with monkeypatch.context() as patched:
            killed_at(patched, 3)
            die(database)
        assert job_of(database).lost == 1
    runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED


def test_nothing_is_kept_more_often_than_the_setting_says(database, monkeypatch):
    label_batch(database, make_project(database))
    monkeypatch.setattr(checkpoints, "next_version", lambda *arguments: 1 / 0)
    runner(database, checkpoint_seconds=3600).work()
    assert job_of(database).state is JobState.SUCCEEDED


def test_the_sweep_takes_away_what_a_training_left_that_ended_otherwise(database, monkeypatch):
    label_batch(database, make_project(database))
    killed_at(monkeypatch, 3)
    die(database)
    sweep(database)
    assert parts_in(database)[0] > 0
    with database.writing() as session:
        jobs.request_cancel(
            session, Reader(named_account(session, "a", Role.ADMIN)), job_of(database).id
        )
    sweep(database)
    assert count(database, CheckpointPart) == 0


def test_what_was_learned_from_a_deleted_slice_goes_with_it(database, monkeypatch):
    label_batch(database, make_project(database))
    with monkeypatch.context() as patched:
        killed_at(patched, 3)
        die(database)
    gone = labelled(database)[0]
    delete(database, lambda session: of_slice(session, HERE, gone))
    assert job_of(database).checkpoint is None
    sweep(database)
    assert count(database, CheckpointPart) == 0
    runner(database).work()
    with database.reading() as session:
        assert "resumed" not in session.scalars(select(ModelVersion)).one().scores


def test_a_project_goes_with_its_checkpoints(database, monkeypatch):
    label_batch(database, make_project(database))
    killed_at(monkeypatch, 3)
    die(database)
    delete(database, lambda session: of_project(session, HERE, "p"))
    assert (count(database, CheckpointPart), count(database, Job)) == (0, 0)
