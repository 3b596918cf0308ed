"""What a retraining learns from, is judged by, and goes on from."""

from dataclasses import replace

from sqlalchemy import select

from app.core.splits import Split, held_out_cases
from app.loop import models, next_round, training_set
from app.loop.access import HERE
from app.store import ModelVersion, Project, Round, Slice
from tests.worker.projects import label_batch, make_project, runner
from worker.steps import train as train_step


def test_test_cases_never_train_validate_or_enter_the_pool(database):
    project = make_project(database, size=50)
    label_batch(database, project)
    with database.reading() as session:
        project = session.get_one(Project, project.id)
        divided = training_set.labelled_slices(session, project)
        test = set(session.scalars(select(Slice.id).where(Slice.split == Split.TEST)))
        assert set(divided.test) == test
        assert not test & set(divided.training + divided.validation)
        assert not test & set(next_round.selectable(session, project))


def test_a_recipe_that_stops_by_validation_holds_cases_out(database, sees_targets):
    project = make_project(database)
    with database.writing() as session:
        project = session.get_one(Project, project.id)
        project.training = {**project.training, "recipe": "paper", "members": 1}
    label_batch(database, project)
    runner(database).work()
    with database.reading() as session:
        model = session.scalars(select(ModelVersion)).one()
        assert model.scores["labelled"] == 3
        assert len(model.mask_ids) < 3
        assert model.scores["validation_kind"] == "held-out"
        assert model.scores["best_epoch"] in (1, 2)


def test_a_model_that_is_held_back_neither_scores_nor_is_gone_on_from(
    database, sees_targets, monkeypatch
):
    project = make_project(database)
    label_batch(database, project)
    runner(database).work()
    learned = train_step.learn

    def worse(*arguments):
        return replace(learned(*arguments), held_back="worse than model 1 by 0.20")

    with monkeypatch.context() as patched:
        patched.setattr(train_step, "learn", worse)
        label_batch(database, project)
        runner(database).work()
    with database.reading() as session:
        first, second = session.scalars(select(ModelVersion).order_by(ModelVersion.number))
        assert (first.held_back, second.held_back) == (None, "worse than model 1 by 0.20")
        assert models.current_model(session, project.id).id == first.id
        rounds = session.scalars(select(Round).order_by(Round.number)).all()
        # Both rounds were chosen by the model that goes on.
        assert [round_.model_id for round_ in rounds] == [None, first.id, first.id]
    label_batch(database, project)
    runner(database).work()
    with database.writing() as session:
        third = session.scalars(select(ModelVersion).where(ModelVersion.number == 3)).one()
        assert third.parent_id == first.id
        models.promote(session, HERE, second.id)
        assert models.current_model(session, project.id).id == second.id


def test_the_validation_split_is_used_once_it_holds_enough(database):
    project = make_project(database, size=50)
    label_batch(database, project)
    with database.writing() as session:
        project = session.get_one(Project, project.id)
        project.training = {**project.training, "min_validation_slices": 3}
        for slice_ in session.scalars(select(Slice).where(Slice.split == Split.TEST)):
            slice_.split = Split.VALIDATION
    with database.reading() as session:
        project = session.get_one(Project, project.id)
        divided = training_set.labelled_slices(session, project)
        assert divided.validation_kind == "validation"
        assert (len(divided.validation), len(divided.training)) == (3, 12)


def test_a_fifth_of_the_cases_is_held_out_by_seed():
    cases = {f"c{n}" for n in range(10)}
    held = held_out_cases(cases, seed=1)
    assert len(held) == 2
    assert held == held_out_cases(cases, seed=1)
    assert held_out_cases({"only"}, seed=1) == set()
    assert len(held_out_cases({"a", "b"}, seed=1)) == 1
