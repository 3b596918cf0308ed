"""SIGTERM: what is under way is handed back within seconds, and counts as nobody's failure."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
from sqlalchemy import select

from app.loop import claims, transfers
from app.loop.accounts import create_token
from app.settings import Settings
from app.store import (
    Database,
    Delivery,
    DeliveryState,
    Hook,
    JobState,
    Lease,
    ModelVersion,
    Project,
    Role,
    Transfer,
    TransferKind,
    Worker,
    utc_now,
)
from app.store.migrate import migrate
from app.transfers import runner as transfer_runner
from app.transfers.runner import TransferRunner
from tests.api.test_archives import archive
from tests.conftest import picture
from tests.e2e.test_survival import long_training, wait_for
from tests.receiver import receiving
from tests.worker.projects import job_of, label_batch, make_project
from tests.worker.projects import runner as worker_of
from worker import runner as job_runner

# Much more than it takes, much less than what was under way would have taken.
ENDS_WITHIN = 60
HOUR = timedelta(hours=1)


def test_a_training_goes_on_from_its_checkpoint_on_another_worker(database, workers):
    workers.environment["SFUMATO_CHECKPOINT_SECONDS"] = "0.01"
    project = make_project(database)
    long_training(database, steps=10_000)
    label_batch(database, project)
    first = workers.start()
    wait_for(lambda: job_of(database).checkpoint is not None, workers.log)
    first.terminate()
    first.wait(ENDS_WITHIN)
    job = job_of(database)
    assert (job.state, job.lost, job.failures, job.error) == (JobState.QUEUED, 0, 0, None)
    assert job.checkpoint is not None
    with database.reading() as session:
        assert session.scalars(select(Worker)).all() == []
    second = workers.start()

    def has_gone_on() -> bool:
        now = job_of(database)
        ours = (now.worker or "").endswith(f":{second.pid}")
        return ours and now.checkpoint is not None and now.checkpoint > job.checkpoint

    wait_for(has_gone_on, workers.log)


def test_a_step_that_does_not_look_is_given_back_for_it(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)
    monkeypatch.setattr(job_runner, "_GRACE_SECONDS", 0.0)
    at_it, over = threading.Event(), threading.Event()

    def stuck(step):
        at_it.set()
        assert over.wait(ENDS_WITHIN)
        with step.database.writing() as session:
            return claims.finish(session, step.claim)

    monkeypatch.setitem(job_runner._STEPS, claims.STEP_TRAIN, stuck)
    one = worker_of(database)
    threads = [threading.Thread(target=one.work), threading.Thread(target=one.hand_back_late)]
    for thread in threads:
        thread.start()
    assert at_it.wait(ENDS_WITHIN)
    one.stop()
    threads[1].join(ENDS_WITHIN)
    assert (job_of(database).state, job_of(database).lost) == (JobState.QUEUED, 0)
    # It wakes up: the job is not its own any more.
    over.set()
    threads[0].join(ENDS_WITHIN)
    assert job_of(database).state is JobState.QUEUED


@contextmanager
def serving(database_url: str, folder: Path) -> Iterator[tuple[subprocess.Popen, str, Path]]:
    """`sfumato serve` on a free port, with its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "server.log"
    environment = {
        "SFUMATO_DATABASE_URL": database_url,
        "SFUMATO_DATA": str(folder),
        "SFUMATO_HOOK_NETWORKS": "127.0.0.0/8",
        "SFUMATO_STALE_SECONDS": "600",
        "SFUMATO_IMPORT_PROCESSES": "0",
    }
    with log.open("a") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
            env={**os.environ, **environment},
            stdout=file,
            stderr=file,
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/health/live").is_success
        except httpx.TransportError:
            return False

    try:
        wait_for(answers, log)
        yield process, url, log
    finally:
        process.kill()
        process.wait()


def one_of(database: Database, table):
    with database.reading() as session:
        return session.scalars(select(table)).one()


def test_a_server_puts_back_imports_and_webhooks(database, database_url, tmp_path):
    with database.writing() as session:
        token = create_token(session, "root", Role.ADMIN)
    headers = {"Authorization": f"Bearer {token}"}
    pictures = {
        f"images/case-{n}/{i}.png": picture(128, seed=10 * n + i) for n in range(60) for i in (0, 1)
    }
    body = archive(**pictures)
    over = threading.Event()
    with receiving() as receiver:
        receiver.behave = lambda _: over.wait(ENDS_WITHIN)
        with serving(database_url, tmp_path) as (process, url, log):
            where = {"layout": "png", "background": True}
            sent = httpx.post(
                f"{url}/projects/new/imports",
                params=where,
                content=body,
                headers=headers,
                timeout=60,
            )
            assert sent.status_code == 202, sent.text
            wait_for(lambda: one_of_or_none(database, Project), log)
            with database.writing() as session:
                project = session.scalars(select(Project)).one()
                hook = Hook(project_id=project.id, url=receiver.url, events=[], secret="s")
                session.add(hook)
                session.flush()
                session.add(Delivery(hook_id=hook.id, project_id=1, event="test", payload={}))
            assert receiver.came.wait(ENDS_WITHIN), log.read_text()
            ran = one_of(database, Transfer).state
            process.terminate()
            # In order, and then by the signal, as uvicorn does.
            assert process.wait(ENDS_WITHIN) == -signal.SIGTERM, log.read_text()
            over.set()
        told = one_of(database, Delivery)
        assert (told.state, told.due_at, told.handed_back) == (DeliveryState.WAITING, None, 1)
        moved = one_of(database, Transfer)
        if ran is JobState.RUNNING:
            assert moved.attempt - moved.handed_back == 0
            assert moved.state is JobState.QUEUED
        receiver.behave = None
        # What the next server goes on with.
        with serving(database_url, tmp_path) as (_, _, log):
            wait_for(lambda: one_of(database, Transfer).state is JobState.SUCCEEDED, log)
            wait_for(lambda: one_of(database, Delivery).state is DeliveryState.DELIVERED, log)
    assert one_of(database, Transfer).report["cases"] == 60


def one_of_or_none(database: Database, table):
    with database.reading() as session:
        return session.scalars(select(table)).first()


def test_an_import_in_the_middle_of_a_case_is_put_back_for_it(database, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer_runner, "_GRACE_SECONDS", 0.0)
    at_it, over = threading.Event(), threading.Event()

    def stuck(*_):
        at_it.set()
        assert over.wait(ENDS_WITHIN)
        raise OSError("its files went")

    monkeypatch.setattr(TransferRunner, "_import", stuck)
    with database.writing() as session:
        transfers.ask(session, TransferKind.IMPORT, "p", "png", {}, None, str(tmp_path))
    server = TransferRunner(database, Settings(data=tmp_path), lambda _: None)
    server.start()
    assert at_it.wait(ENDS_WITHIN)
    server.stop()
    moved = one_of(database, Transfer)
    assert (moved.state, moved.attempt - moved.handed_back) == (JobState.QUEUED, 0)
    # It wakes up, and neither ends what is another's nor takes its bytes away.
    over.set()
    server._thread.join(ENDS_WITHIN)
    assert one_of(database, Transfer).state is JobState.QUEUED
    assert tmp_path.is_dir()
    # Servers that were told to end, however often, do not use up its attempts.
    for _ in range(5):
        with database.writing() as session:
            held = transfers.claim(session, moved.id, utc_now())
            assert held is not None
            assert transfers.end(session, held, JobState.QUEUED)
    with database.writing() as session:
        transfers.claim(session, moved.id, utc_now())
        transfers.take_back(session, utc_now(), transfers.beats(session))
    assert one_of(database, Transfer).state is JobState.QUEUED


def test_the_whole_service_hands_back_and_people_keep_their_slices(tmp_path):
    """`sfumato up` on SQLite, while its own worker trains."""
    data, log = tmp_path / "data", tmp_path / "log"
    data.mkdir()
    database = Database(f"sqlite:///{data / 'sfumato.db'}")
    migrate(database)
    project = make_project(database)
    long_training(database, steps=10_000)
    label_batch(database, project)
    environment = {"SFUMATO_CHECKPOINT_SECONDS": "0.01", "SFUMATO_STALE_SECONDS": "600"}
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "up", "--data", str(data), "--port", "0"],
            env={**os.environ, **environment},
            stdout=file,
            stderr=file,
        )
    try:
        wait_for(lambda: job_of(database).checkpoint is not None, log)
        with database.writing() as session:
            lease = session.scalars(select(Lease).order_by(Lease.id.desc())).first()
            lease.ended_at = lease.outcome = None
            held = lease.id
        process.terminate()
        assert process.wait(ENDS_WITHIN) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    job = job_of(database)
    assert (job.state, job.lost, job.error) == (JobState.QUEUED, 0, None), log.read_text()
    assert job.checkpoint is not None
    with database.reading() as session:
        assert session.get_one(Lease, held).ended_at is None
        assert session.scalars(select(ModelVersion)).all() == []
    database.dispose()
