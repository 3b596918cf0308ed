"""A retraining from its row to the next round, on both databases, without a broker."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import func, select

from app.api.schemas.rounds import ProgressOut
from app.core.pixels import decode
from app.core.project_settings import ProjectSettings, QuerySettings, TrainingSettings
from app.core.splits import Split, held_out_cases
from app.core.streams import Stream
from app.loop import claims, jobs, next_round, training_set
from app.loop.accounts import named_account
from app.loop.progress import progress
from app.loop.projects import create_project
from app.loop.round_history import list_rounds
from app.settings import Settings
from app.store import (
    Database,
    Job,
    JobState,
    Label,
    Mask,
    MaskSource,
    ModelVersion,
    Project,
    QueryItem,
    ReviewState,
    Role,
    Round,
    Score,
    Slice,
    SliceFeatures,
    Suggestion,
    blobs,
    utc_now,
)
from tests.conftest import RecordingDispatcher
from tests.loop.test_leases import annotator, ask, draw, slices_of
from worker.runner import Runner
from worker.steps import select as select_step
from worker.steps import train as train_step


def make_project(database: Database, classes=("background", "lesion"), **query) -> Project:
    """Four pool cases and one test case, three slices each, bright squares on noise."""
    from app.loop.masks import add_imported_mask, prepare_mask
    from app.loop.slices import add_slice, ensure_case, prepare_image

    settings = ProjectSettings(
        classes=list(classes),
        query=QuerySettings(**{"size": 3, **query}),
        training=TrainingSettings(width=2, epochs=2, batch_size=4, learning_rate=0.01),
    )
    rng = np.random.default_rng(0)
    with database.writing() as session:
        project = create_project(session, "p", settings)
        for c in range(5):
            split = Split.TEST if c == 4 else Split.POOL
            case = ensure_case(session, project, f"case-{c}", split)
            for index in range(3):
                image = rng.integers(0, 900, (32, 32))
                image[4:12, 6:14] += 2000
                image = prepare_image(image.astype(np.uint16))
                slice_ = add_slice(session, case, index, {0: image}).slice
                if split is Split.TEST:
                    marks = np.zeros((32, 32), dtype=np.uint8)
                    marks[4:12, 6:14] = 1
                    add_imported_mask(session, slice_, prepare_mask(marks))
    return project


def label_batch(database: Database, project: Project) -> None:
    one = annotator(database, "one")
    for slice_id in slices_of(ask(database, project, one, 50, utc_now())):
        draw(database, one, slice_id, utc_now())


def runner(database: Database, **settings) -> Runner:
    return Runner(
        database, RecordingDispatcher(), Settings(**settings), claims.QUEUES, name="test-worker"
    )


def count(database: Database, model) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(model))


def job_of(database: Database) -> Job:
    with database.reading() as session:
        return session.scalars(
            select(Job).where(Job.parent_id.is_(None)).order_by(Job.id.desc())
        ).first()


@pytest.fixture
def sees_targets(monkeypatch):
    """As if the model predicted targets: what two epochs come to hangs on the processor."""
    monkeypatch.setattr(select_step, "reason_to_explore", lambda *found: None)


def test_a_labelled_batch_becomes_a_model_scores_suggestions_and_a_round(database, sees_targets):
    project = make_project(database)
    label_batch(database, project)
    # Train, three shards of up to 4 of the 9 slices left, select.
    assert runner(database, shard_slices=4).work() == 5
    assert job_of(database).state is JobState.SUCCEEDED
    with database.reading() as session:
        model = session.scalars(select(ModelVersion)).one()
        assert (model.number, model.parent_id, len(model.mask_ids)) == (1, None, 2)
        assert model.scores["labelled"] == 3
        assert model.scores["validation_kind"] == "held-out"
        assert model.scores["test"]["cases"] == 1
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


BEYOND = ["random-foreground", "clasp", "stochastic-batches", "core-set", "bald-selective-diverse"]


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

    def taken_by_another(step, plan):
        with database.writing() as session:
            session.get_one(Job, step.claim.job_id).attempt += 1
        return trained(step, plan)

    trained = train_step._train
    monkeypatch.setattr(train_step, "_train", taken_by_another)
    runner(database).work()
    assert count(database, ModelVersion) == 0
    assert job_of(database).state is JobState.RUNNING


def test_an_error_fails_the_job_and_is_kept_in_full(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)
    monkeypatch.setattr(train_step, "_train", lambda step, plan: 1 / 0)
    runner(database).work()
    job = job_of(database)
    assert job.state is JobState.FAILED
    assert "ZeroDivisionError" in job.error
    batch = ask(database, project, annotator(database, "one"), 1, utc_now())
    assert "failed" in batch.message


def test_a_cancelled_training_leaves_no_model(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)

    def cancelled(step, plan):
        with database.writing() as session:
            jobs.request_cancel(session, step.claim.job_id, named_account(session, "a", Role.ADMIN))
        return trained(step, plan)

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
    assert rounds[0].nearest is None
    assert rounds[1].nearest > 0


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
    assert (
        "nothing left" in ask(database, project, annotator(database, "one"), 1, utc_now()).message
    )
    added = add_slices(database, project, "late", 2)
    # The addition has made a retraining due, and the message says so meanwhile.
    assert job_of(database).state is JobState.QUEUED
    assert "is retraining" in ask(database, project, one, 1, utc_now()).message
    runner(database).work()
    assert set(slices_of(ask(database, project, one, 5, utc_now()))) == set(added)


def add_slices(database: Database, project: Project, case: str, count: int) -> list[int]:
    """Slices of a new case of the pool, as an import adds them."""
    from app.loop.retraining import retrain_if_due
    from app.loop.slices import add_slice, ensure_case, prepare_image

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
        review_mask(session, reviewer, mask.id, ReviewState.REJECTED, "too small")
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
