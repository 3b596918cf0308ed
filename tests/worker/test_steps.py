"""A retraining from its row to the next round, on both databases, without a broker."""

import numpy as np
import pytest
from sqlalchemy import select

from app.api.schemas.rounds import ProgressOut
from app.core.pixels import decode
from app.core.streams import Stream
from app.loop import claims, jobs
from app.loop.access import Reader
from app.loop.progress import progress
from app.loop.round_history import list_rounds
from app.store import (
    Case,
    Database,
    Job,
    JobState,
    Label,
    Mask,
    ModelVersion,
    QueryItem,
    Role,
    Round,
    Score,
    SliceFeatures,
    Suggestion,
    blobs,
    utc_now,
)
from tests.loop.test_leases import annotator, ask, draw
from tests.people import named_account
from tests.worker.projects import count, job_of, label_batch, make_project, runner
from worker.runner import Runner
from worker.steps import select as select_step
from worker.steps import train as train_step


def test_a_labelled_batch_becomes_a_model_scores_suggestions_and_a_round(database, sees_targets):
    project = make_project(database)
    with database.writing() as session:
        for case in session.scalars(select(Case)):
            # From column, row and slice: 0.5, 0.7 and 3 mm apart.
            case.affine = np.diag([0.5, 0.7, 3.0, 1.0]).tolist()
    label_batch(database, project)
    # Train, two shards of the 9 slices left, each of whole batches of 8, select.
    assert runner(database, shard_slices=4).work() == 4
    assert job_of(database).state is JobState.SUCCEEDED
    with database.reading() as session:
        model = session.scalars(select(ModelVersion)).one()
        assert (model.number, model.parent_id, len(model.mask_ids)) == (1, None, 3)
        assert model.scores["labelled"] == 3
        assert model.scores["validation_kind"] == "none"
        assert model.scores["recipe"] == "robust"
        test = model.scores["test"]
        assert (test["cases"], test["surface_cases"], test["lesions"]) == (1, 1, 1)
        # The farthest that two voxels of 3 slices of 32 × 32 are apart.
        assert 0 <= test["hd95_mm"] <= np.hypot(np.hypot(31 * 0.5, 31 * 0.7), 2 * 3.0) + 1e-3
        assert list(test["by_case"]) == ["case-4"]
        rounds = session.scalars(select(Round).order_by(Round.number)).all()
        assert [(r.number, str(r.state), r.model_id) for r in rounds] == [
            (1, "closed", None),
            (2, "open", model.id),
        ]
        items = session.scalars(
            select(QueryItem).where(QueryItem.round_id == rounds[1].id).order_by(QueryItem.rank)
        ).all()
        assert [item.rank for item in items] == [1, 2, 3]
        assert [item.stream for item in items] == [Stream.TARGET, Stream.BOUNDARY, Stream.TARGET]
        suggestion = session.get_one(Suggestion, (model.id, items[0].slice_id))
        assert decode(blobs.get(session, suggestion.mask_sha256)).shape == (32, 32)
        assert decode(blobs.get(session, suggestion.uncertainty_sha256)).dtype == np.uint8
    assert count(database, Score) == 9 * 3
    batch = ask(database, project, annotator(database, "one"), 3, utc_now())
    assert all(handed.suggestion_model for handed in batch.items)


def test_the_next_round_starts_from_the_last_weights(database):
    project = make_project(database)
    for _ in range(2):
        label_batch(database, project)
        runner(database).work()
    with database.reading() as session:
        models = session.scalars(select(ModelVersion).order_by(ModelVersion.number)).all()
        assert models[1].parent_id == models[0].id
        assert models[1].scores["labelled"] == 6
        assert models[0].seed != models[1].seed


def test_the_loop_ends_when_the_pool_is_used_up(database):
    project = make_project(database, size=50)
    label_batch(database, project)
    runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED
    batch = ask(database, project, annotator(database, "one"), 3, utc_now())
    assert (batch.round, batch.items) == (None, [])
    assert "nothing left" in batch.message


BEYOND = ["foreground-areas", "clasp", "stochastic-batches", "core-set", "bald-selective-diverse"]


@pytest.mark.parametrize("strategy", BEYOND)
def test_every_kind_of_strategy_is_told_what_it_needs(database, strategy):
    project = make_project(
        database, classes=("background", "rim", "core"), strategy=strategy, mc_passes=2
    )
    for _ in range(2):
        label_batch(database, project)
        runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED, job_of(database).error
    with database.reading() as session:
        rounds = session.scalars(select(Round).order_by(Round.number)).all()
        assert len(rounds) == 3
        assert all(r.nearest > 0 for r in rounds[1:])
        # Features are kept of the newest model alone.
        newest = session.scalars(select(ModelVersion.id).order_by(ModelVersion.id.desc())).first()
        assert set(session.scalars(select(SliceFeatures.model_id))) == {newest}


def test_the_first_batch_can_be_varied_by_how_slices_look(database):
    project = make_project(database, initial="k-centre", size=4)
    batches = []
    for name in ("one", "two"):
        with database.writing() as session:
            one = annotator(database, name)
            held = ask(database, project, one, 2, utc_now())
            batches.append([i.slice.id for i in held.items])
            session.rollback()
    with database.reading() as session:
        round_ = session.scalars(select(Round)).one()
        assert round_.strategy == "k-centre"
        items = session.scalars(select(QueryItem.slice_id).order_by(QueryItem.rank)).all()
    assert len(set(items)) == 4
    assert batches[0] + batches[1] == items


@pytest.mark.parametrize("strategy", ["random", "entropy", "bald-selective"])
def test_the_same_seed_gives_the_same_batch(sqlite_template, tmp_path, strategy):
    import shutil

    batches = []
    for n in range(2):
        path = tmp_path / f"{n}.db"
        shutil.copy(sqlite_template, path)
        database = Database(f"sqlite:///{path}")
        label_batch(database, make_project(database, strategy=strategy, mc_passes=2))
        runner(database, precision="float32").work()
        with database.reading() as session:
            items = session.scalars(select(QueryItem).order_by(QueryItem.round_id, QueryItem.rank))
            batches.append([(item.slice_id, item.stream, item.score) for item in items])
        database.dispose()
    assert batches[0] == batches[1]
    assert len(batches[0]) == 6


def test_several_classes_are_learned_and_suggested(database):
    project = make_project(database, classes=("background", "rim", "core"))
    label_batch(database, project)
    runner(database).work()
    with database.reading() as session:
        assert session.scalars(select(ModelVersion)).one().architecture["classes"] == 3
        assert session.scalars(select(Suggestion)).first() is not None


def test_a_step_that_runs_again_after_a_crash_trains_no_second_model(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)

    def crash(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        # The worker dies just after it has committed the model.
        patched.setattr(Runner, "_claim", after(Runner._claim, calls=1, then=crash))
        with pytest.raises(KeyboardInterrupt):
            runner(database).work()
    with database.writing() as session:
        job = session.scalars(select(Job).where(Job.parent_id.is_(None))).one()
        assert job.state is JobState.WAITING
        # As if the split had been lost: the job is back at its first step.
        job.state, job.step = JobState.QUEUED, claims.STEP_TRAIN
        for shard in session.scalars(select(Job).where(Job.parent_id == job.id)):
            shard.state = JobState.CANCELLED
    runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED
    assert count(database, ModelVersion) == 1


def after(method, calls, then):
    """The method for some calls, then something else."""
    left = [calls]

    def wrapped(self):
        if left[0] == 0:
            return then()
        left[0] -= 1
        return method(self)

    return wrapped


def test_a_worker_that_lost_its_job_writes_nothing(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)

    def taken_by_another(step, plan, checkpoints):
        with database.writing() as session:
            session.get_one(Job, step.claim.job_id).attempt += 1
        return trained(step, plan, checkpoints)

    trained = train_step._train
    monkeypatch.setattr(train_step, "_train", taken_by_another)
    runner(database).work()
    assert count(database, ModelVersion) == 0
    assert job_of(database).state is JobState.RUNNING


def test_an_error_fails_the_job_and_is_kept_in_full(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)
    monkeypatch.setattr(train_step, "_train", lambda step, plan, checkpoints: 1 / 0)
    runner(database, retries=0).work()
    job = job_of(database)
    assert job.state is JobState.FAILED
    assert "ZeroDivisionError" in job.error
    batch = ask(database, project, annotator(database, "one"), 1, utc_now())
    assert "failed" in batch.message


def test_a_cancelled_training_leaves_no_model(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)

    def cancelled(step, plan, checkpoints):
        with database.writing() as session:
            admin = Reader(named_account(session, "a", Role.ADMIN))
            jobs.request_cancel(session, admin, step.claim.job_id)
        return trained(step, plan, checkpoints)

    trained = train_step._train
    monkeypatch.setattr(train_step, "_train", cancelled)
    runner(database).work()
    assert job_of(database).state is JobState.CANCELLED
    assert count(database, ModelVersion) == 0


def test_slices_answered_since_the_selection_are_left_out(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)
    one = annotator(database, "one")
    pick = select_step.predict

    def answer_first(network, stream, *rest):
        with database.reading() as session:
            first = session.scalars(learning_pool(project)).first()
        draw(database, one, first, utc_now())
        return pick(network, stream, *rest)

    monkeypatch.setattr(select_step, "predict", answer_first)
    runner(database).work()
    with database.reading() as session:
        labelled = set(session.scalars(select(Label.slice_id)))
        open_items = session.scalars(
            select(QueryItem.slice_id).join(Round).where(Round.model_id.is_not(None))
        ).all()
        assert not labelled & set(open_items)


def learning_pool(project):
    from app.loop.batches import unlabelled_pool

    return unlabelled_pool(project)


def test_progress_shows_what_labels_were_spent_on_and_whether_more_help(database, sees_targets):
    project = make_project(database, stop_rounds=1, stop_below=1000.0)
    for _ in range(2):
        label_batch(database, project)
        runner(database).work()
    with database.reading() as session:
        seen = ProgressOut.model_validate(progress(session, project))
        rounds = list_rounds(session, project, None, 10).items
        spent = session.scalars(select(Mask.foreground_pixels).join(Label)).all()
    first, second = seen.learning_curve
    assert (first.labelled, second.labelled) == (3, 6)
    assert second.foreground_pixels > 0
    assert first.seconds_score > 0
    found = [point.dice["test"]["dice_case"] for point in seen.learning_curve]
    assert seen.area_under_budget_curve["dice_case"] == pytest.approx(sum(found) / 2)
    gain = 100 * (found[1] - found[0]) / 3
    assert seen.stopping.gain_per_100_labels == pytest.approx(gain)
    # No gain per label is as large as this threshold.
    assert seen.stopping.stop
    assert seen.stopping.evidence[0].labelled == 6
    pool = [r.foreground_pixels for r in rounds]
    test_slices = 3 * 64
    assert sum(pool) == sum(spent) - test_slices
    assert [r.blank for r in rounds] == [0, 0, 0]
    assert all(1 <= r.cases <= 3 for r in rounds)
    assert rounds[0].streams == {"initial": 3}
    assert rounds[1].streams == {"target": 2, "boundary": 1}
    assert rounds[0].figures is None
    assert rounds[1].figures == {"on": "test", **first.dice["test"]}
    assert len(first.dice["test"]["classes"]) == 1
    # The single cases are for comparing models, and would make every look at the progress long.
    assert "by_case" not in first.dice["test"]
    assert rounds[0].nearest is None
    assert rounds[1].nearest > 0
