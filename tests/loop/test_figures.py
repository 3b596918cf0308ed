"""What monitoring is shown: of what is at work now, on both engines alike."""

from datetime import timedelta

import pytest

from app.loop import capabilities, claims, jobs
from app.loop.audit import record
from app.loop.figures import figures
from app.loop.models import current_model
from app.loop.project_figures import RoundFigures, failed_retrainings
from app.store import Job, JobState, ModelVersion, Project, Worker, utc_now
from app.store.audit import BACKUP_MADE
from tests.loop.test_leases import annotator, ask, draw, make_pool, slices_of

HOUR = timedelta(hours=1)


def look(database, later=timedelta()):
    with database.reading() as session:
        return figures(session, utc_now() + later)


def test_of_an_empty_installation_there_are_zeros(database):
    found = look(database)
    assert found.jobs["train", "queued"] == found.transfers["import", "failed"] == 0
    assert found.workers == found.waiting == found.silent == {"train": 0, "score": 0}
    assert (found.projects, found.of_projects, found.backup_made_at) == (0, [], None)
    assert found.database_bytes > 0


@pytest.fixture
def project(database) -> Project:
    return make_pool(database, slices=3, size=3)


@pytest.fixture
def job(database, project) -> Job:
    now = utc_now()
    one, two = annotator(database, "one"), annotator(database, "two")
    first, _ = slices_of(ask(database, project, one, 2, now))
    ask(database, project, two, 1, now)
    draw(database, one, first, now)
    with database.writing() as session:
        return jobs.request_retrain(session, project, None)


def test_rounds_and_leases_are_counted_while_they_are_open(database, job):
    [found] = look(database).of_projects
    assert found.round == RoundFigures(1, found.round.opened_at, asked=3, answered=1)
    assert (found.leases.held, found.leases.most_by_one) == (2, 1)
    assert 0 <= found.leases.oldest_seconds < 3600
    # Those that have run out are nobody's, whether or not somebody has noted their end.
    [later] = look(database, HOUR).of_projects
    assert later.leases.held == 0


def test_a_job_waits_since_it_was_put_in_the_queue_last(database, job):
    hour = HOUR.total_seconds()
    assert look(database, HOUR).waiting["train"] == pytest.approx(hour, abs=60)
    with database.writing() as session:
        session.get_one(Job, job.id).queued_at = job.created_at - HOUR
    assert look(database).waiting["train"] == pytest.approx(hour, abs=60)
    with database.writing() as session:
        held = claims.claim(session, claims.QUEUES, "w", utc_now())
    found = look(database, HOUR)
    assert (found.jobs["train", "running"], found.waiting["train"]) == (1, 0)
    assert found.silent["train"] == pytest.approx(hour, abs=60)
    with database.writing() as session:
        claims.release(session, held)
    # Not since it was asked for: a worker had it meanwhile.
    assert look(database).waiting["train"] < hour / 2


def test_a_job_of_before_that_was_noted_waits_since_it_was_made(database, job):
    with database.writing() as session:
        kept = session.get_one(Job, job.id)
        kept.queued_at = None
        kept.created_at = utc_now() - HOUR
    assert look(database).waiting["train"] == pytest.approx(HOUR.total_seconds(), abs=60)


def test_the_newest_retraining_says_whether_a_project_stands_still(database, project, job):
    with database.writing() as session:
        claims.end(session.get_one(Job, job.id), JobState.FAILED, "out of memory")
    found = look(database)
    assert found.jobs["train", "failed"] == 1
    assert [one.retraining_failed for one in found.of_projects] == [True]
    with database.reading() as session:
        [one] = failed_retrainings(session)
    assert (one.project, one.job, one.error) == ("p", job.id, "out of memory")
    with database.writing() as session:
        jobs.request_retrain(session, session.get_one(Project, project.id), None)
    assert [one.retraining_failed for one in look(database).of_projects] == [False]


def add_model(session, project_id: int, number: int, **values) -> None:
    job = Job(project_id=project_id, kind="retrain", queue="train", step="train")
    job.state = JobState.SUCCEEDED
    session.add(job)
    session.flush()
    fixed = {"architecture": {}, "mask_ids": [], "seed": 0, "seconds": 1.0, "weights_sha256": ""}
    session.add(
        ModelVersion(project_id=project_id, number=number, job_id=job.id, **fixed, **values)
    )
    session.flush()


def dice_of(case, piece):
    return {"dice_case": case, "dice_slice": piece, "by_case": {"a": {"dice_case": 0.1}}}


def test_dice_is_of_the_current_model_on_what_it_was_judged_by(database, project):
    with database.writing() as session:
        both = {"validation": dice_of(0.9, 0.9), "test": dice_of(0.75, 0.5), "labelled": 3}
        add_model(session, project.id, 1, scores=both)
        add_model(session, project.id, 2, scores={"test": dice_of(0.2, 0.2)}, held_back="worse")
        assert current_model(session, project.id).number == 1
    [found] = look(database).of_projects
    assert (found.model.number, found.model.on) == (1, "test")
    assert found.model.dice == {"case": 0.75, "slice": 0.5}
    with database.writing() as session:
        add_model(session, project.id, 3, scores={"cross_validation": dice_of(0.8, None)})
        add_model(session, project.id, 4, scores={"test": dice_of(0.1, 0.1)}, held_back="worse")
    [found] = look(database).of_projects
    assert (found.model.number, found.model.on) == (3, "cross_validation")
    assert found.model.dice == {"case": 0.8}
    with database.writing() as session:
        first = session.query(ModelVersion).filter_by(number=1).one()
        first.promoted_at = utc_now()
    assert look(database).of_projects[0].model.number == 1
    with database.writing() as session:
        add_model(session, project.id, 5, scores={"labelled": 1})
    [found] = look(database).of_projects
    assert (found.model.number, found.model.on, found.model.dice) == (5, None, {})


def test_workers_are_counted_by_queue_while_they_show_themselves(database):
    with database.writing() as session:
        capabilities.report_worker(session, "a", ("train", "score"), {}, utc_now())
        capabilities.report_worker(session, "b", ("score",), {}, utc_now())
    assert look(database).workers == {"train": 1, "score": 2}
    with database.writing() as session:
        session.get_one(Worker, "a").seen_at = utc_now() - HOUR
    assert look(database).workers == {"train": 0, "score": 1}


def test_the_newest_backup_is_the_one_that_counts(database):
    for _ in range(2):
        with database.writing() as session:
            record(session, BACKUP_MADE, None)
    with database.writing() as session:
        record(session, "project.create", None)
    found = look(database).backup_made_at
    assert abs(utc_now() - found) < HOUR
