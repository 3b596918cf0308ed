"""What the loop does with nothing to go by, nothing left, or nothing that can be loaded."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import func, select

from app.core.splits import Split
from app.core.streams import Stream
from app.loop import jobs, next_round
from app.loop.access import Reader
from app.store import (
    Database,
    Job,
    JobState,
    Mask,
    MaskSource,
    ModelVersion,
    Project,
    QueryItem,
    ReviewState,
    Role,
    Round,
    Slice,
    utc_now,
)
from tests.conftest import TTL
from tests.loop.test_leases import annotator, ask, draw, slices_of
from tests.people import named_account
from tests.worker.projects import count, job_of, label_batch, make_project, runner
from worker import runner as runner_module
from worker.steps import select as select_step
from worker.steps import train as train_step


def draw_blank(database: Database, project: Project) -> None:
    """Answer the whole batch with masks that hold nothing."""
    one = annotator(database, "one")
    for slice_id in slices_of(ask(database, project, one, 50, utc_now())):
        draw(database, one, slice_id, utc_now(), corner=0)


@pytest.mark.parametrize("strategy", ["entropy-selective", "clasp"])
def test_while_no_target_is_labelled_batches_are_drawn_for_variety_over_cases(database, strategy):
    project = make_project(database, strategy=strategy, size=4)
    draw_blank(database, project)
    runner(database).work()
    with database.reading() as session:
        opened = session.scalars(select(Round).where(Round.model_id.is_not(None))).one()
        assert opened.exploring == "no labelled slice holds any target yet"
        items = session.scalars(select(QueryItem).where(QueryItem.round_id == opened.id)).all()
        assert {item.stream for item in items} == {Stream.EXPLORE}
        # Four cases, and every one of them has given as many as the others in the end.
        given = select(Slice.case_id, func.count()).join(QueryItem).group_by(Slice.case_id)
        assert [count for _, count in session.execute(given)] == [2, 2, 2, 2]
    assert job_of(database).progress["exploring"] == opened.exploring
    batch = ask(database, project, annotator(database, "two"), 1, utc_now())
    assert batch.round.exploring == opened.exploring


def test_a_model_that_predicts_nothing_makes_the_loop_explore(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)
    scored = next_round.scores_of

    def nothing_seen(*arguments):
        return [replace(one, foreground_pixels=0) for one in scored(*arguments)]

    monkeypatch.setattr(next_round, "scores_of", nothing_seen)
    runner(database).work()
    with database.reading() as session:
        opened = session.scalars(select(Round).where(Round.model_id.is_not(None))).one()
    assert opened.exploring == "the model predicts no target anywhere in the pool"


def test_random_stays_random_whatever_the_model_sees(database):
    project = make_project(database, strategy="random")
    draw_blank(database, project)
    runner(database).work()
    with database.reading() as session:
        opened = session.scalars(select(Round).where(Round.model_id.is_not(None))).one()
        streams = set(
            session.scalars(select(QueryItem.stream).where(QueryItem.round_id == opened.id))
        )
    assert (opened.exploring, streams) == (None, {Stream.RANDOM})


def test_slices_that_come_after_the_end_are_asked_for(database):
    project = make_project(database, size=50)
    label_batch(database, project)
    runner(database).work()
    one = annotator(database, "one")
    assert "nothing left" in ask(database, project, one, 1, utc_now()).message
    added = add_slices(database, project, "late", 2)
    # The addition has made a retraining due, and the message says so meanwhile.
    assert job_of(database).state is JobState.QUEUED
    assert "is retraining" in ask(database, project, one, 1, utc_now()).message
    runner(database).work()
    assert set(slices_of(ask(database, project, one, 5, utc_now()))) == set(added)


def add_slices(database: Database, project: Project, case: str, count: int) -> list[int]:
    """Slices of a new case of the pool, as an import adds them."""
    from app.core.prepared import prepare_image
    from app.loop.retraining import retrain_if_due
    from app.loop.slices import add_slice, ensure_case

    with database.writing() as session:
        project = session.get_one(Project, project.id)
        made = ensure_case(session, project, case, Split.POOL)
        images = [prepare_image(np.full((32, 32), 7 * n, dtype=np.uint8)) for n in range(count)]
        added = [add_slice(session, made, n, {0: image}) for n, image in enumerate(images)]
        retrain_if_due(session, project)
        return [one.slice.id for one in added]


def test_a_rejection_after_the_end_makes_a_retraining_due(database):
    from app.loop.reviews import review_mask

    project = make_project(database, size=50)
    label_batch(database, project)
    runner(database).work()
    with database.writing() as session:
        mask = session.scalars(select(Mask).where(Mask.source == MaskSource.HUMAN)).first()
        reviewer = named_account(session, "eve", Role.REVIEWER)
        review_mask(session, Reader(reviewer), mask.id, ReviewState.REJECTED, "too small")
    runner(database).work()
    batch = ask(database, project, annotator(database, "one"), 5, utc_now())
    assert slices_of(batch) == [mask.slice_id]


def test_a_batch_for_which_nothing_was_scored_fails_its_job_and_says_why(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)
    monkeypatch.setattr(next_round, "scores_of", lambda *arguments: [])
    runner(database).work()
    job = job_of(database)
    assert job.state is JobState.FAILED
    assert "none of the 9 slices that are left was scored" in job.error
    assert "Traceback" not in job.error


def test_a_strategy_that_cannot_be_loaded_fails_before_training(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)
    with database.writing() as session:
        # As if its package had been taken away since the job was asked for.
        job = session.scalars(select(Job)).one()
        job.payload = {"query": {**job.payload["query"], "strategy": "gone"}}
    runner(database).work()
    assert job_of(database).state is JobState.FAILED
    assert "there is no strategy 'gone'" in job_of(database).error
    assert count(database, ModelVersion) == 0


def test_exploring_asks_held_out_cases_no_more_than_others(database):
    """A held-out case is labelled too, though it trains nothing."""
    project = make_project(database, size=4)
    for _ in range(3):
        draw_blank(database, project)
        runner(database).work()
    with database.reading() as session:
        asked = select(Slice.case_id, func.count()).join(QueryItem, QueryItem.slice_id == Slice.id)
        given = dict(session.execute(asked.group_by(Slice.case_id)).all())
    # All twelve slices of four cases: nobody was asked for the same again.
    assert set(given.values()) == {3}


def test_a_slice_in_somebodys_hands_keeps_its_round_open_for_them(database):
    project = make_project(database, size=50, retrain_after=11)
    one, other = annotator(database, "one"), annotator(database, "other")
    held = slices_of(ask(database, project, other, 1, utc_now()))
    for slice_id in slices_of(ask(database, project, one, 50, utc_now())):
        draw(database, one, slice_id, utc_now())
    runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED
    assert slices_of(ask(database, project, other, 1, utc_now())) == held
    # Left lying, it goes to whoever asks next, and the last answer is learned from.
    later = utc_now() + 2 * TTL
    assert slices_of(ask(database, project, one, 1, later)) == held
    draw(database, one, held[0], later)
    runner(database).work()
    with database.reading() as session:
        newest = select(ModelVersion).order_by(ModelVersion.number.desc()).limit(1)
        assert session.scalars(newest).one().scores["labelled"] == 12
    assert "nothing left" in ask(database, project, one, 1, later).message


def test_slices_added_while_the_last_job_runs_are_asked_for_when_it_has_ended(
    database, monkeypatch
):
    project = make_project(database, size=50)
    label_batch(database, project)
    added: list[int] = []
    picked = select_step.run

    def late(step):
        added.extend(add_slices(database, project, "late", 2))
        return picked(step)

    monkeypatch.setattr(runner_module, "_STEPS", {**runner_module._STEPS, "select": late})
    runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED, job_of(database).error
    monkeypatch.undo()
    one = annotator(database, "one")
    # Whoever asks makes the retraining due that opens their round.
    assert "is retraining" in ask(database, project, one, 5, utc_now()).message
    runner(database).work()
    assert set(slices_of(ask(database, project, one, 5, utc_now()))) == set(added)


def test_a_job_that_failed_is_not_started_again_by_every_addition(database, monkeypatch):
    project = make_project(database, size=50)
    label_batch(database, project)
    runner(database).work()
    monkeypatch.setattr(train_step, "_train", lambda step, plan, checkpoints: 1 / 0)
    add_slices(database, project, "late", 2)
    runner(database, retries=0).work()
    failed = job_of(database)
    assert failed.state is JobState.FAILED
    add_slices(database, project, "later", 2)
    assert job_of(database).id == failed.id
    message = ask(database, project, annotator(database, "one"), 1, utc_now()).message
    assert f"job {failed.id} failed" in message


def test_a_job_that_was_cancelled_is_not_started_again_by_whoever_asks(database):
    project = make_project(database, size=50)
    label_batch(database, project)
    runner(database).work()
    add_slices(database, project, "late", 2)
    with database.writing() as session:
        admin = named_account(session, "admin", Role.ADMIN)
        jobs.request_cancel(session, Reader(admin), job_of(database).id)
    one = annotator(database, "one")
    message = ask(database, project, one, 1, utc_now()).message
    assert job_of(database).state is JobState.CANCELLED
    assert "an admin starts a retraining" in message
