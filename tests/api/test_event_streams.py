"""Event streams: few an account, ended with what let them in, fed by one look a row."""

import threading
from collections import Counter
from contextlib import ExitStack

import fastapi.routing
import httpx
import pytest
from sqlalchemy import select

from app.api import event_streams, jobs
from app.loop.access import HERE
from app.loop.tokens import revoke_token
from app.store import Job, JobState, Role, Token
from tests.conftest import mask
from tests.served import served


@pytest.fixture
def job(api, monkeypatch) -> int:
    """A retraining that nobody runs."""
    monkeypatch.setattr(event_streams, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(event_streams, "_CHECK_SECONDS", 0.1)
    admin = api.project()
    item = admin.get("/query/next").json()["items"][0]
    admin.post(f"/slices/{item['slice']}/masks", content=mask())
    return admin.post("/jobs", json={"project": "brain"}).json()["id"]


def client_of(api, running, name: str, role: Role = Role.ANNOTATOR) -> httpx.Client:
    headers = {"Authorization": f"Bearer {api.token(name, role)}"}
    return httpx.Client(base_url=running.url, headers=headers, timeout=60)


def first_event(stream: httpx.Response):
    """The lines of a stream, its first event read."""
    assert stream.status_code == 200, stream.read()
    lines = stream.iter_lines()
    for line in lines:
        if line.startswith("data:"):
            return lines
    raise AssertionError("it ended without an event")


def finish(api, job: int) -> None:
    with api.database.writing() as session:
        session.get_one(Job, job).state = JobState.FAILED


def test_an_account_has_so_many_and_a_place_is_free_again(api, job):
    with served(api.database, streams_per_account=2) as running:
        ann, eva = (client_of(api, running, name) for name in ("ann", "eva"))
        path = f"/jobs/{job}/events"
        with ExitStack() as stack:
            # Kept: a stream that nobody can read any more is closed.
            opened = [first_event(stack.enter_context(ann.stream("GET", path))) for _ in range(2)]
            refused = ann.get(path)
            assert refused.status_code == 429
            assert "'ann' follows 2 jobs or transfers already" in refused.json()["detail"]
            assert refused.headers["retry-after"] == "10"
            # Others have their own; what is not there is said first.
            opened.append(first_event(stack.enter_context(eva.stream("GET", path))))
            assert ann.get("/jobs/999/events").status_code == 404
            finish(api, job)
            for lines in opened:
                assert '"state":"failed"' in "".join(lines).replace(" ", "")
        with ann.stream("GET", path) as again:
            first_event(again)


@pytest.mark.parametrize("how", ["token", "sign-out"])
def test_a_stream_ends_with_what_let_it_in(api, job, how):
    with served(api.database) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        token = api.token("ann", Role.ANNOTATOR)
        if how == "token":
            client.headers["Authorization"] = f"Bearer {token}"
        else:
            csrf = client.post("/session", json={"token": token}).json()["csrf"]
        with client.stream("GET", f"/jobs/{job}/events") as stream:
            lines = first_event(stream)
            if how == "token":
                with api.database.writing() as session:
                    number = session.scalars(select(Token.id).order_by(Token.id.desc())).first()
                    revoke_token(session, HERE, number)
            else:
                client.delete("/session", headers={"X-CSRF-Token": csrf})
            assert not any(line.startswith("data:") for line in lines)
        assert client.get(f"/jobs/{job}/events").status_code == 401
        with api.database.reading() as session:
            assert session.get_one(Job, job).state == JobState.QUEUED


def test_a_row_is_looked_at_once_for_all_that_follow_it(api, job, monkeypatch):
    looks, passes = Counter(), []
    look, feed = jobs._look, event_streams._Watch._look
    monkeypatch.setattr(
        jobs, "_look", lambda session, job_id: looks.update([job_id]) or look(session, job_id)
    )
    monkeypatch.setattr(
        event_streams._Watch,
        "_look",
        lambda self, streams, check: passes.append(len(streams)) or feed(self, streams, check),
    )
    with served(api.database, streams_per_account=0) as running, ExitStack() as stack:
        ann = client_of(api, running, "ann")
        path = f"/jobs/{job}/events"
        opened = [first_event(stack.enter_context(ann.stream("GET", path))) for _ in range(20)]
        finish(api, job)
        for lines in opened:
            assert '"state":"failed"' in "".join(lines).replace(" ", "")
    assert max(passes) == 20
    assert looks[job] == len(passes)


def test_a_database_that_is_away_for_a_while_ends_no_stream(api, job, monkeypatch):
    away, looked = threading.Event(), threading.Event()
    look = event_streams._Watch._look

    def looking(self, streams, check):
        if away.is_set():
            looked.set()
            raise OSError("away")
        return look(self, streams, check)

    monkeypatch.setattr(event_streams._Watch, "_look", looking)
    with served(api.database) as running:
        ann = client_of(api, running, "ann")
        with ann.stream("GET", f"/jobs/{job}/events") as stream:
            lines = first_event(stream)
            away.set()
            assert looked.wait(60)
            away.clear()
            finish(api, job)
            assert '"state":"failed"' in "".join(lines).replace(" ", "")


def test_a_silent_stream_says_that_it_lives(api, job, monkeypatch):
    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.05)
    with served(api.database) as running:
        ann = client_of(api, running, "ann")
        with ann.stream("GET", f"/jobs/{job}/events") as stream:
            lines = first_event(stream)
            assert any(line.startswith(":") for line in lines)


def test_a_stream_ends_in_order_when_the_server_stops(api, job):
    # Without that, it would be cut off after this time.
    with served(api.database, seconds_to_stop=120) as running:
        ann = client_of(api, running, "ann")
        with ann.stream("GET", f"/jobs/{job}/events") as stream:
            lines = first_event(stream)
            running.stop()
            assert not any(line.startswith("data:") for line in lines)
        running.thread.join(60)
        assert not running.thread.is_alive()
