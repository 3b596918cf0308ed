"""Real processes on real brokers and databases, killed in the middle of their work."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from app.core.liveness import Silence
from app.dispatch import CeleryDispatcher
from app.loop import jobs
from app.loop.access import Reader
from app.settings import Settings
from app.store import Database, Job, JobState, ModelVersion, Project, Round
from app.sweep import sweep_once
from tests.worker.projects import job_of, label_batch, make_project

# Processes and signals are at test here; what they do to the tables is tested on both engines.
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def wait_for(condition, log: Path, seconds: float = 120):
    """Look until the condition holds; what it returned then. Fails with the workers' log."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"not within {seconds} s; the log says:\n{log.read_text()[-4000:]}")


def long_training(database: Database, steps: int) -> None:
    with database.writing() as session:
        project = session.scalars(select(Project)).one()
        project.training = {**project.training, "steps": steps}


def in_training(database: Database, worker: subprocess.Popen) -> bool:
    """Whether that worker has come past its first steps."""
    job = job_of(database)
    ours = (job.worker or "").endswith(f":{worker.pid}")
    return ours and job.state is JobState.RUNNING and job.progress.get("step", 0) >= 1


def test_a_killed_workers_job_finishes_once_on_another(database, database_url, valkey_url, workers):
    project = make_project(database)
    long_training(database, steps=2000)
    label_batch(database, project)
    first = workers.start()
    wait_for(lambda: in_training(database, first), workers.log)
    second = workers.start()
    os.kill(first.pid, signal.SIGKILL)
    long_training(database, steps=3)
    wait_for(lambda: job_of(database).state is JobState.SUCCEEDED, workers.log)
    job = job_of(database)
    assert job.lost == 1
    with database.reading() as session:
        assert len(session.scalars(select(ModelVersion)).all()) == 1
        assert len(session.scalars(select(Round)).all()) == 2
        ran_by = set(session.scalars(select(Job.worker)))
    assert {name.rsplit(":", 1)[1] for name in ran_by} == {str(second.pid)}


@on_postgresql
def test_a_cancelled_training_stops_in_a_real_worker(database, workers):
    project = make_project(database)
    long_training(database, steps=10_000)
    label_batch(database, project)
    worker = workers.start()
    wait_for(lambda: in_training(database, worker), workers.log)
    with database.writing() as session:
        from app.store import Role
        from tests.people import named_account

        admin = Reader(named_account(session, "a", Role.ADMIN))
        jobs.request_cancel(session, admin, job_of(database).id)
    wait_for(lambda: job_of(database).state is JobState.CANCELLED, workers.log)
    assert worker.poll() is None


@on_postgresql
def test_a_worker_that_is_told_to_end_gives_its_job_to_another(database, workers):
    project = make_project(database)
    long_training(database, steps=10_000)
    label_batch(database, project)
    first = workers.start()
    wait_for(lambda: in_training(database, first), workers.log)
    first.terminate()
    first.wait(30)
    job = job_of(database)
    assert (job.state, job.lost) == (JobState.QUEUED, 0)


@on_postgresql
def test_a_job_is_accepted_while_the_broker_is_down_and_found_later(
    database, database_url, valkey_url, workers
):
    """The row comes first; the sweep sends the message when there is a broker again."""
    project = make_project(database)
    CeleryDispatcher("redis://127.0.0.1:1/0").wake(["train"])
    label_batch(database, project)
    worker = workers.start()
    sweep_once(database, CeleryDispatcher(valkey_url), Settings(resend_seconds=0.001), Silence(60))
    wait_for(lambda: job_of(database).state is JobState.SUCCEEDED, workers.log)
    assert worker.poll() is None
