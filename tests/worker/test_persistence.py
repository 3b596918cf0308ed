"""A database that is away for a while ends no job, and costs no training."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError, ProgrammingError

from app.loop import claims
from app.loop import models as kept_models
from app.store import ModelVersion
from tests.worker.projects import job_of, label_batch, make_project, runner
from worker import persistence
from worker.persistence import OutageTooLong, persistently
from worker.steps import train as train_step


def away() -> OperationalError:
    return OperationalError("select", {}, Exception("the connection was closed"))


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(persistence.time, "sleep", lambda seconds: None)


def test_what_fails_for_a_moment_is_done_in_the_end():
    left = [3]

    def action() -> str:
        left[0] -= 1
        if left[0]:
            raise away()
        return "done"

    assert persistently(action) == "done"


def test_it_ends_with_its_time_with_the_claim_and_with_faults_of_the_job():
    def always():
        raise away()

    def wrong():
        raise ProgrammingError("select", {}, Exception("no such column"))

    def lost():
        raise claims.ClaimLost("given to another")

    # Once, also where one waits around another.
    with pytest.raises(OutageTooLong, match="the connection was closed"):
        persistently(lambda: persistently(always, seconds=0))
    with pytest.raises(claims.ClaimLost):
        persistently(always, lost)
    with pytest.raises(ProgrammingError):
        persistently(wrong)


def test_a_training_that_cannot_be_kept_at_first_is_kept_later(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)
    tries, trainings = [], []
    save, learn = kept_models.save_model, train_step.learn

    def cut_off(session, claim, model, weights):
        tries.append(model.number)
        if len(tries) < 3:
            # As the database does in the middle of it: after some of it was written.
            save(session, claim, model, weights)
            raise away()
        return save(session, claim, model, weights)

    def counted(*arguments):
        trainings.append(1)
        return learn(*arguments)

    reports = []

    def not_now(session, claim, progress):
        reports.append(progress)
        raise away()

    monkeypatch.setattr(train_step.models, "save_model", cut_off)
    monkeypatch.setattr(train_step, "learn", counted)
    monkeypatch.setattr(claims, "report", not_now)
    runner(database).work()
    assert (len(tries), len(trainings)) == (3, 1)
    with database.reading() as session:
        assert session.scalars(select(ModelVersion)).one().number == 1
    assert str(job_of(database).state) == "succeeded"
