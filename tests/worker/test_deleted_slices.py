"""A retraining under which slices are deleted goes on without them and learns nothing of them."""

from functools import partial

import pytest
from sqlalchemy import select

from app.core.errors import NotFound
from app.loop.access import HERE
from app.loop.deletions import of_case, of_project, of_slice
from app.store import (
    Job,
    JobState,
    Label,
    Mask,
    ModelVersion,
    Project,
    QueryItem,
    Round,
    RoundState,
    Score,
    Slice,
    utc_now,
)
from tests.loop.deleting import (
    blobs_that_nothing_refers_to,
    case_of,
    delete,
    labelled,
    rows_that_refer,
)
from tests.loop.test_leases import annotator, ask, slices_of
from tests.worker.projects import count, job_of, label_batch, make_project, runner
from worker.steps import score as score_step
from worker.steps import select as select_step
from worker.steps import train as train_step


def once(monkeypatch, step, name: str, act) -> None:
    """Before the first call of a function of a step, do something else."""
    inner, done = getattr(step, name), []

    def first(*args, **kwargs):
        if not done:
            done.append(True)
            act()
        return inner(*args, **kwargs)

    monkeypatch.setattr(step, name, first)


def test_a_training_that_has_read_what_goes_begins_again_without_it(database, monkeypatch):
    label_batch(database, make_project(database))
    gone = labelled(database)[0]
    with database.reading() as session:
        masks = set(session.scalars(select(Mask.id).where(Mask.slice_id == gone)))
    found = []
    once(
        monkeypatch,
        train_step,
        "learn",
        lambda: found.append(delete(database, lambda session: of_slice(session, HERE, gone))),
    )
    runner(database).work()
    job = job_of(database)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.attempt > 2
    assert found[0].jobs == [job.id]
    assert found[0].queues == {"train"}
    with database.reading() as session:
        assert not masks & set(session.scalars(select(ModelVersion)).one().mask_ids)


def test_a_training_of_which_all_goes_is_cancelled(database, monkeypatch):
    label_batch(database, make_project(database))

    def act() -> None:
        for slice_id in labelled(database):
            delete(database, lambda session, one=slice_id: of_slice(session, HERE, one))

    once(monkeypatch, train_step, "learn", act)
    runner(database).work()
    assert job_of(database).state is JobState.CANCELLED
    assert count(database, ModelVersion) == 0


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (score_step, "score"),
        (score_step, "samples"),
        (select_step, "predict"),
        (select_step, "_nearest"),
    ],
)
def test_scoring_and_selecting_go_on_without_what_went(database, monkeypatch, step, name):
    project = make_project(database)
    label_batch(database, project)

    def act() -> None:
        with database.reading() as session:
            taken = select(Label.slice_id)
            open_ = session.scalars(
                select(Slice.id).where(Slice.id.not_in(taken)).order_by(Slice.id)
            ).all()
        gone = [*open_[::3], labelled(database)[0]]
        for slice_id in gone:
            delete(database, lambda session, one=slice_id: of_slice(session, HERE, one))
        acted.update(gone)

    acted: set[int] = set()
    once(monkeypatch, step, name, act)
    runner(database, shard_slices=4).work()
    assert acted
    assert job_of(database).state is JobState.SUCCEEDED, job_of(database).error
    assert not any(rows_that_refer(database, "slices", acted).values())
    assert blobs_that_nothing_refers_to(database) == set()
    with database.reading() as session:
        assert session.scalar(select(Score.slice_id).limit(1)) is not None
        open_round = session.scalars(select(Round).where(Round.state == RoundState.OPEN)).one()
        query = select(QueryItem.slice_id).where(QueryItem.round_id == open_round.id)
        assert session.scalars(query).all()
    assert slices_of(ask(database, project, annotator(database, "one"), 3, utc_now()))


def test_between_two_queries_of_one_reading(database, monkeypatch):
    """PostgreSQL shows each query the state of its moment: a page is read again."""
    label_batch(database, make_project(database))
    from app.loop import training_set

    name = case_of(database, labelled(database)[0])
    once(
        monkeypatch,
        training_set,
        "_around",
        lambda: delete(database, lambda session: of_case(session, HERE, "p", name)),
    )
    runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED, job_of(database).error


@pytest.mark.parametrize(
    ("step", "name"), [(train_step, "learn"), (score_step, "score"), (select_step, "predict")]
)
def test_a_project_that_goes_takes_its_jobs_along(database, monkeypatch, step, name):
    label_batch(database, make_project(database))
    plan = partial(of_project, reader=HERE, name="p")
    once(monkeypatch, step, name, lambda: delete(database, plan))
    runner(database, shard_slices=4).work()
    for table in (Project, Job, ModelVersion, Slice, Score):
        assert count(database, table) == 0
    assert blobs_that_nothing_refers_to(database) == set()
    with pytest.raises(NotFound), database.reading() as session:
        of_project(session, HERE, "p")
