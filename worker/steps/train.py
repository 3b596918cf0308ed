"""Step one: train on what is labelled, keep the model, cut the pool into shards."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from app.core.blob import Blob
from app.core.errors import NothingLabelled
from app.core.model_scores import not_learned
from app.core.project_settings import TrainingSettings, job_query_settings, training_settings
from app.core.seeds import derived_seed
from app.loop import claims, models, next_round, training_set
from app.loop.training_set import LabelledSlices
from app.store import ModelVersion, Project, database_now
from worker.persistence import persistently
from worker.registry import find_recipe, find_strategy
from worker.segmentation import weights
from worker.segmentation.evaluating import evaluate
from worker.segmentation.frames import Sample
from worker.segmentation.learning import Learned, Parent, learn
from worker.segmentation.recipe import Lesson
from worker.steps.checkpoints import JobCheckpoints
from worker.steps.context import Step, noted, samples

# Without gradients a larger batch is always faster.
_BATCH = 32


@dataclass(frozen=True)
class _Plan:
    """What was read before training: all of it, so that no transaction stays open."""

    project: Project
    settings: TrainingSettings
    divided: LabelledSlices
    training: list[Sample]
    validation: list[Sample]
    test: list[Sample]
    number: int
    parent: Parent | None
    parent_id: int | None


@dataclass(frozen=True)
class _Made:
    """A trained model, as the values of its row, and its weights: not kept yet."""

    values: dict[str, Any]
    weights: Blob


def run(step: Step) -> tuple[str, ...]:
    """Train unless an earlier attempt has; returns the queues to announce."""
    with step.database.reading() as session:
        # What cannot be loaded here fails now, not after hours of training.
        find_strategy(_strategy(session, step))
        trained = models.model_of_job(session, step.claim.job_id)
        plan = None if trained else _plan(session, step.claim.project_id)
        model_id = trained.id if trained else None
    kept_so_far = JobCheckpoints(step)
    made = _train(step, plan, kept_so_far) if plan else None

    def keep() -> tuple[str, ...]:
        with step.database.writing() as session:
            kept = model_id
            if made is not None:
                # By the clock that promotions go by too.
                model = ModelVersion(**made.values, created_at=database_now(session))
                kept = models.save_model(session, step.claim, model, made.weights).id
            # The model that goes on: one that is held back neither scores nor selects.
            current = models.current_model(session, step.claim.project_id)
            going_on = kept if current is None else current.id
            shards = _shards(session, step, going_on)
            return claims.split(session, step.claim, shards, model=going_on)

    # Hours of training are not thrown away because the database is away when they end.
    queues = persistently(keep, step.check)
    kept_so_far.forget()
    return queues


def _plan(session: Session, project_id: int) -> _Plan:
    project = session.get_one(Project, project_id)
    settings = training_settings(project)
    stops = find_recipe(settings.recipe).stops_by_validation
    parent = models.current_model(session, project_id)
    learned = training_set.learned_cases(session, parent) if parent else []
    divided = training_set.labelled_slices(session, project, hold_out=stops, learned=learned)

    seen: list[int] = []

    def load(ids: Sequence[int]) -> list[Sample]:
        loaded = training_set.load_slices(session, ids, settings.context, with_labels=True)
        return list(samples(noted(loaded, seen)))

    training = load(divided.training)
    if not training:
        raise NothingLabelled(
            f"no labelled slice is left in the pool of {project.name!r} to train on: "
            "draw and submit a mask first"
        )
    of_slice = dict(zip(divided.training, divided.mask_ids, strict=True))
    return _Plan(
        project=project,
        settings=settings,
        # Of what was read alone: some of it may have been deleted meanwhile.
        divided=replace(divided, mask_ids=[of_slice[slice_id] for slice_id in seen]),
        training=training,
        validation=load(divided.validation),
        test=load(divided.test),
        number=models.next_model_number(session, project_id),
        parent=_parent(session, parent, learned) if parent else None,
        parent_id=parent.id if parent else None,
    )


def _parent(session: Session, model: ModelVersion, learned: Sequence[str]) -> Parent:
    return Parent(
        number=model.number,
        weights=models.weights_of(session, model),
        description=model.architecture,
        folds=model.scores.get("folds", {}),
        learned=learned,
    )


def _architecture(project: Project, settings: TrainingSettings) -> dict[str, Any]:
    return weights.architecture(len(project.classes), len(project.channels), settings)


def _train(step: Step, plan: _Plan, checkpoints: JobCheckpoints) -> _Made:
    started = time.monotonic()
    seed = derived_seed(plan.settings.seed, "train", plan.number)
    description = _architecture(plan.project, plan.settings)
    lesson = Lesson(
        training=plan.training,
        validation=plan.validation,
        settings=plan.settings,
        seed=seed,
        device=step.device,
        on_step=step.check,
        on_progress=step.report,
        precision=step.compute.training_precision,
        clock=step.clock,
    )
    learned = learn(description, lesson, plan.parent, plan.settings.from_scratch, checkpoints)
    values: dict[str, Any] = {
        "project_id": plan.project.id,
        "parent_id": plan.parent_id if learned.warm else None,
        "job_id": step.claim.job_id,
        # Where it began, with pretrained weights or without, is kept in the weights.
        "architecture": weights.described(description, learned.network),
        "mask_ids": _learned_masks(plan, learned),
        "scores": _scores(step, plan, learned),
        "seed": seed,
        "seconds": time.monotonic() - started,
        "held_back": learned.held_back,
    }
    return _Made(values, Blob.of(weights.dump(learned.network.state_dict())))


def _learned_masks(plan: _Plan, learned: Learned) -> list[int]:
    """The masks that were trained on: without those that could not be."""
    left_out = {(one["case"], one["index"]) for one in not_learned(learned.notes)}
    masks = zip(plan.training, plan.divided.mask_ids, strict=True)
    return [mask for sample, mask in masks if (sample.case, sample.index) not in left_out]


def _scores(step: Step, plan: _Plan, learned: Learned) -> dict[str, Any]:
    """How training went, and what the model comes to on what it has not learned from."""
    scores: dict[str, Any] = {
        # Validation is labelled by people too.
        "labelled": len(plan.training) + len(plan.validation),
        "validation_kind": plan.divided.validation_kind,
        **learned.notes,
        "folds": learned.folds,
        "learned": learned.learned,
        "foreground_pixels": sum(_foreground(sample) for sample in plan.training),
        "blank": sum(_foreground(sample) == 0 for sample in plan.training),
    }
    if learned.judged is not None:
        scores["judged"] = learned.judged
    if learned.cross_validation is not None:
        scores["cross_validation"] = learned.cross_validation
    for name, subset in (("validation", plan.validation), ("test", plan.test)):
        if subset:
            step.check()
            with step.clock.part(name):
                scores[name] = evaluate(learned.network, subset, _BATCH, step.device)
    scores["machine"] = step.compute.machine.to_dict()
    scores["training_precision"] = str(step.compute.training_precision)
    scores["seconds"] = step.clock.seconds
    return scores


def _foreground(sample: Sample) -> int:
    return 0 if sample.classes is None else int((sample.classes > 0).sum())


def _strategy(session: Session, step: Step) -> str:
    project = session.get_one(Project, step.claim.project_id)
    return job_query_settings(step.claim.payload, project).strategy


def _shards(session: Session, step: Step, model_id: int | None) -> list[dict[str, Any]]:
    project = session.get_one(Project, step.claim.project_id)
    if model_id is None:
        raise LookupError(f"job {step.claim.job_id} has trained no model")
    if find_strategy(_strategy(session, step)).measure is None:
        return []
    # Whole batches, so that a slice's score does not hang on how the pool is cut.
    batch = step.compute.scoring_batch
    size = -(-step.settings.shard_slices // batch) * batch
    return next_round.shards(session, project.id, model_id, size, step.claim.payload)
