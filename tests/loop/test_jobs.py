"""Jobs survive dead workers, lost messages and late results."""

from datetime import timedelta

import pytest

from app.core.errors import JobFinished
from app.loop import claims, jobs
from app.loop.access import Reader
from app.loop.claims import ClaimLost
from app.store import Job, JobKind, JobState, Project, Role, utc_now
from tests.loop.test_leases import annotator, ask, draw, make_pool, slices_of
from tests.people import named_account

NOW = utc_now()
STALE, RESEND = timedelta(seconds=15), timedelta(seconds=10)


@pytest.fixture
def project(database) -> Project:
    return make_pool(database, slices=2, size=2)


@pytest.fixture
def job(database, project) -> Job:
    """A queued retraining."""
    one = annotator(database, "one")
    [slice_id] = slices_of(ask(database, project, one))
    draw(database, one, slice_id)
    with database.writing() as session:
        return jobs.request_retrain(session, project, None)


def claim(database, worker="w1", queues=claims.QUEUES, now=NOW):
    with database.writing() as session:
        return claims.claim(session, queues, worker, now)


def sweep(database, now, max_attempts=3, quiet=True):
    """As a sweep that found every running job quiet for too long, or none of them."""
    with database.writing() as session:
        silent = claims.beats(session) if quiet else {}
        return claims.sweep(session, now, silent, RESEND, max_attempts)


def state(database, job_id):
    with database.reading() as session:
        return session.get_one(Job, job_id).state


def test_a_job_is_claimed_by_one_worker_of_its_queue(database, job):
    assert claim(database, queues=("score",)) is None
    held = claim(database)
    assert (held.job_id, held.attempt, held.step) == (job.id, 1, "train")
    assert claim(database, "w2") is None


def test_a_dead_workers_job_is_taken_back_and_its_late_result_refused(database, job):
    dead = claim(database, "dead")
    assert sweep(database, NOW, quiet=False) == ()
    assert sweep(database, NOW) == ("train",)
    alive = claim(database, "alive")
    assert (alive.job_id, alive.attempt) == (dead.job_id, 2)
    for late in (
        lambda s: claims.heartbeat(s, dead, NOW),
        lambda s: claims.report(s, dead, {}),
        lambda s: claims.finish(s, dead),
        lambda s: claims.fail(s, dead, "x"),
        lambda s: claims.split(s, dead, [{}]),
    ):
        with database.writing() as session, pytest.raises(ClaimLost):
            late(session)
    with database.writing() as session:
        claims.finish(session, alive)
    assert state(database, job.id) is JobState.SUCCEEDED


def test_a_heartbeat_keeps_a_job(database, job):
    held = claim(database)
    with database.reading() as session:
        silent = claims.beats(session)
    with database.writing() as session:
        claims.heartbeat(session, held, NOW + timedelta(seconds=14))
    # Between the look and the sweep it has shown life.
    with database.writing() as session:
        claims.sweep(session, NOW, silent, RESEND, 3)
    assert state(database, job.id) is JobState.RUNNING


def test_a_job_that_kills_its_workers_fails_in_the_end(database, job):
    for n in range(1, 4):
        claim(database, f"w{n}", now=NOW)
        sweep(database, NOW + timedelta(seconds=16))
    with database.reading() as session:
        found = session.get_one(Job, job.id)
        assert found.state is JobState.FAILED
        assert "3 workers died" in found.error


def test_a_message_that_nobody_got_is_sent_again_ever_more_rarely(database, job):
    start = job.announced_at
    sent = [
        second
        for second in range(0, 200, 5)
        if sweep(database, start + timedelta(seconds=second)) == ("train",)
    ]
    assert sent == [10, 30, 70, 150]


def test_shards_run_side_by_side_and_the_last_wakes_the_parent(database, job):
    parent = claim(database)
    with database.writing() as session:
        assert claims.split(session, parent, [{"n": 1}, {"n": 2}]) == ("score",)
    assert state(database, job.id) is JobState.WAITING
    assert sweep(database, NOW + timedelta(hours=1)) == ("score",)
    shards = [claim(database, f"w{n}") for n in (1, 2)]
    assert [(s.kind, s.payload) for s in shards] == [
        (JobKind.SCORE, {"n": 1}),
        (JobKind.SCORE, {"n": 2}),
    ]
    with database.writing() as session:
        assert claims.finish(session, shards[0], slices_scored=3) == ()
    with database.writing() as session:
        assert claims.finish(session, shards[1], slices_scored=4) == ("train",)
    again = claim(database)
    assert (again.job_id, again.step, again.attempt) == (job.id, "select", 2)
    with database.reading() as session:
        view = jobs.view(session, session.get_one(Job, job.id))
    assert view.progress["slices_scored"] == 7


def test_a_failed_shard_fails_the_job_and_stops_the_others(database, job):
    parent = claim(database)
    with database.writing() as session:
        claims.split(session, parent, [{"n": 1}, {"n": 2}, {"n": 3}])
    one, other = claim(database), claim(database)
    with database.writing() as session:
        claims.fail(session, one, "out of memory")
    assert state(database, job.id) is JobState.FAILED
    with database.writing() as session, pytest.raises(ClaimLost):
        claims.heartbeat(session, other, NOW)
    assert claim(database) is None
    with database.reading() as session:
        assert "out of memory" in session.get_one(Job, job.id).error


def test_cancelling_asks_a_running_job_and_ends_a_waiting_one(database, job):
    with database.writing() as session:
        admin = named_account(session, "boss", Role.ADMIN)
    held = claim(database)
    with database.writing() as session:
        assert jobs.request_cancel(session, Reader(admin), job.id).state is JobState.RUNNING
    with database.writing() as session, pytest.raises(ClaimLost):
        claims.hold(session, held)
    with database.writing() as session:
        claims.confirm_cancel(session, held)
    assert state(database, job.id) is JobState.CANCELLED
    with database.writing() as session, pytest.raises(JobFinished):
        jobs.request_cancel(session, Reader(admin), job.id)


def test_a_cancelled_job_of_a_dead_worker_does_not_come_back(database, job):
    claim(database)
    with database.writing() as session:
        jobs.request_cancel(session, Reader(named_account(session, "boss", Role.ADMIN)), job.id)
    sweep(database, NOW + timedelta(seconds=16))
    assert state(database, job.id) is JobState.CANCELLED


def test_a_worker_that_ends_gives_its_job_back_without_blame(database, job):
    held = claim(database)
    with database.writing() as session:
        assert claims.release(session, held) == ("train",)
        assert claims.release(session, held) == ()
    with database.reading() as session:
        found = session.get_one(Job, job.id)
        assert (found.state, found.lost) == (JobState.QUEUED, 0)
