"""What fails is tried again by itself, not for ever; what stays failed is in everybody's sight."""

from datetime import UTC, timedelta

import pytest

from app.api.schemas.rounds import ProgressOut
from app.core.retries import Retries
from app.loop import claims, jobs
from app.loop.access import Reader
from app.loop.failures import reason_of
from app.loop.jobs import request_retrain
from app.loop.progress import progress
from app.loop.retraining import retrain_if_due
from app.store import Job, JobState, Project, Role, database_now
from tests.conftest import mask
from tests.loop.test_jobs import claim, sweep
from tests.loop.test_leases import annotator, ask, draw, make_pool, slices_of
from tests.people import named_account

MINUTES = timedelta(minutes=1)
RETRIES = Retries(most=2, first=5 * MINUTES)
TRACE = 'Traceback (most recent call last):\n  File "x.py", line 1\nOSError: no space left\n'


@pytest.fixture
def project(database) -> Project:
    return make_pool(database, slices=2, size=1)


@pytest.fixture
def job(database, project) -> Job:
    """The retraining that a finished batch has made due."""
    one = annotator(database, "one")
    [slice_id] = slices_of(ask(database, project, one))
    draw(database, one, slice_id)
    with database.writing() as session:
        return request_retrain(session, project, None)


def fail(database, held, error=TRACE, retries=RETRIES):
    with database.writing() as session:
        claims.fail(session, held, error, retries)


def kept(database, job_id) -> Job:
    with database.reading() as session:
        return session.get_one(Job, job_id)


def let_pass(database, job_id):
    """As if the pause were over."""
    with database.writing() as session:
        session.get_one(Job, job_id).retry_at = database_now(session) - timedelta(seconds=1)


def test_what_failed_waits_is_tried_again_and_stays_failed_in_the_end(database, job):
    pauses = []
    for _ in range(2):
        fail(database, claim(database))
        found = kept(database, job.id)
        assert found.state is JobState.QUEUED
        with database.reading() as session:
            pauses.append(found.retry_at - database_now(session))
        # Nobody takes it before that, whatever workers' clocks say; nor does a sweep announce it.
        assert claim(database) is None
        assert sweep(database, found.retry_at + timedelta(days=1)) == ()
        assert claim(database) is None
        let_pass(database, job.id)
        assert sweep(database, found.retry_at) == ("train",)
    assert pauses[0] <= 5 * MINUTES < pauses[1] <= 20 * MINUTES
    fail(database, claim(database))
    found = kept(database, job.id)
    assert (found.state, found.failures, found.retry_at) == (JobState.FAILED, 3, None)


def test_what_would_only_fail_again_is_not_tried_again(database, job):
    fail(database, claim(database), retries=None)
    assert kept(database, job.id).state is JobState.FAILED


def test_a_job_whose_workers_die_is_tried_again_too(database, job):
    for _ in range(2):
        claim(database)
        with database.writing() as session:
            silent = claims.beats(session)
            claims.sweep(session, job.created_at, silent, MINUTES, 2, RETRIES)
    found = kept(database, job.id)
    assert (found.state, found.lost, found.failures) == (JobState.QUEUED, 0, 1)
    assert "2 workers died" in found.error


def test_a_shard_is_tried_again_while_its_parent_waits(database, project, job):
    with database.writing() as session:
        claims.split(session, claims.claim(session, claims.QUEUES, "w", job.created_at), [{}, {}])
    fail(database, claim(database))
    assert kept(database, job.id).state is JobState.WAITING
    other = claim(database)
    with database.writing() as session:
        claims.finish(session, other)
    assert claim(database) is None
    with database.reading() as session:
        seen = ProgressOut.model_validate(progress(session, project))
    assert seen.failure.step == "score"
    assert seen.job.retry_at == seen.failure.retry_at
    # An admin need not wait, and need not know which part it is.
    with database.writing() as session:
        assert request_retrain(session, project, named_account(session, "a", Role.ADMIN)).id
    sweep(database, job.created_at)
    shard = claim(database)
    assert shard.step == "score"
    with database.writing() as session:
        assert claims.finish(session, shard) == ("train",)
    with database.reading() as session:
        assert progress(session, project).failure is None


def test_a_step_that_went_well_is_not_counted_against_the_next(database, job):
    fail(database, claim(database))
    let_pass(database, job.id)
    sweep(database, job.created_at)
    held = claim(database)
    with database.writing() as session:
        claims.split(session, held, [])
    found = kept(database, job.id)
    assert (found.step, found.failures, found.error) == ("select", 0, None)


def test_everybody_sees_what_failed_how_often_and_what_comes_next(database, project, job):
    one = annotator(database, "one")

    def seen() -> tuple[ProgressOut, str]:
        with database.reading() as session:
            found = ProgressOut.model_validate(progress(session, project))
        return found, ask(database, project, one).message

    found, message = seen()
    assert found.failure is None
    assert "is retraining (train): round 2 opens when it has ended" in message
    fail(database, claim(database))
    found, message = seen()
    when = f"at {found.failure.retry_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    assert found.failure.message == (
        f"job {job.id} failed while training, once: OSError: no space left; it is tried again by "
        f"itself {when}, or when an admin says so"
    )
    assert f"job {job.id} failed once: it is tried again by itself {when}" in message
    assert "Traceback" not in message
    let_pass(database, job.id)
    sweep(database, job.created_at)
    held = claim(database)
    assert "it is being tried again" in seen()[0].failure.message
    fail(database, held, "there is no network 'x'", retries=None)
    found, message = seen()
    assert (found.failure.ended, found.failure.failures, found.job) == (True, 2, None)
    assert "an admin looks at the error" in found.failure.message
    assert "failed 2 times: it is not tried again by itself: an admin" in message
    # The next retraining is judged for itself.
    with database.writing() as session:
        again = request_retrain(session, project, named_account(session, "a", Role.ADMIN))
    assert again.id != job.id
    assert seen()[0].failure is None


def test_an_admin_ends_the_pause_and_annotators_do_not(database, project, job):
    fail(database, claim(database))
    with database.writing() as session:
        assert retrain_if_due(session, project).id == job.id
    assert kept(database, job.id).retry_at is not None
    with database.writing() as session:
        admin = named_account(session, "a", Role.ADMIN)
        assert request_retrain(session, project, admin).id == job.id
    assert claim(database).job_id == job.id


def test_a_job_that_waits_to_be_tried_again_can_be_cancelled(database, job):
    fail(database, claim(database))
    with database.writing() as session:
        jobs.request_cancel(session, Reader(named_account(session, "a", Role.ADMIN)), job.id)
    found = kept(database, job.id)
    assert (found.state, found.retry_at) == (JobState.CANCELLED, None)


def test_over_http_the_failure_and_the_try_now_are_there(api):
    admin = api.project(slices=3, cases=3, size=1)
    eva = api.as_("eva")
    [item] = eva.get("/query/next").json()["items"]
    sent = eva.post(f"/slices/{item['slice']}/masks", content=mask())
    assert sent.status_code == 201, sent.text
    held = claim(api.database)
    fail(api.database, held)
    found = eva.get("/projects/brain/progress").json()
    assert found["failure"]["failures"] == 1
    assert "no space left" in found["failure"]["message"]
    assert found["not_learned"] == []
    assert "tried again by itself" in eva.get("/query/next").json()["message"]
    api.dispatcher.woken.clear()
    reply = admin.post("/jobs", json={"project": "brain"})
    assert (reply.status_code, reply.json()["id"]) == (202, held.job_id)
    assert reply.json()["retry_at"] is None
    assert api.dispatcher.woken == ["train"]


def test_a_reason_is_a_line():
    assert reason_of(TRACE) == "OSError: no space left"
    assert reason_of(f"scoring shard 5 failed: {TRACE}") == (
        "scoring shard 5 failed: OSError: no space left"
    )
    assert reason_of("the loss is nan:\nlower it.") == "the loss is nan: lower it"
    assert reason_of("") == "for a reason that nobody noted"
