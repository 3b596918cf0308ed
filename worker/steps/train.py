"""Step one: train on what is labelled, keep the model, cut the pool into shards."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from app.core.blob import Blob
from app.core.errors import NothingLabelled
from app.core.project_settings import TrainingSettings, job_query_settings, training_settings
from app.core.seeds import derived_seed
from app.loop import claims, models, next_round, training_set
from app.loop.training_set import LabelledSlices
from app.store import ModelVersion, Project
from worker.registry import find_strategy
from worker.segmentation import weights
from worker.segmentation.frames import Sample
from worker.segmentation.network import Network
from worker.segmentation.training import Epoch, evaluate, seed_everything, train
from worker.steps.context import Step, noted, samples


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
    parent: ModelVersion | None
    parent_weights: bytes | None


@dataclass(frozen=True)
class _Made:
    """A trained model and its weights, not kept yet."""

    model: ModelVersion
    weights: Blob


def run(step: Step) -> tuple[str, ...]:
    """Train unless an earlier attempt has; returns the queues to announce."""
    with step.database.reading() as session:
        # What cannot be loaded here fails now, not after hours of training.
        find_strategy(_strategy(session, step))
        trained = models.model_of_job(session, step.claim.job_id)
        plan = None if trained else _plan(session, step.claim.project_id)
        model_id = trained.id if trained else None
    made = _train(step, plan) if plan else None
    with step.database.writing() as session:
        if made is not None:
            model_id = models.save_model(session, step.claim, made.model, made.weights).id
        return claims.split(session, step.claim, _shards(session, step, model_id))


def _plan(session: Session, project_id: int) -> _Plan:
    project = session.get_one(Project, project_id)
    settings = training_settings(project)
    divided = training_set.labelled_slices(session, project)
    last = models.current_model(session, project_id)
    parent = None if settings.from_scratch else last
    if parent and weights.completed(parent.architecture) != _architecture(project, settings):
        parent = None

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
        parent=parent,
        parent_weights=models.weights_of(session, parent) if parent else None,
    )


def _architecture(project: Project, settings: TrainingSettings) -> dict[str, Any]:
    return weights.architecture(len(project.classes), len(project.channels), settings)


def _train(step: Step, plan: _Plan) -> _Made:
    started = time.monotonic()
    seed = derived_seed(plan.settings.seed, "train", plan.number)
    description = _architecture(plan.project, plan.settings)
    seed_everything(seed)
    model = (
        weights.restore(description, plan.parent_weights)
        if plan.parent_weights
        else weights.build(description)
    )
    trained = train(
        model,
        plan.training,
        plan.validation,
        plan.settings,
        seed,
        step.device,
        on_step=step.check,
        on_epoch=lambda epoch: step.report(asdict(epoch)),
    )
    made = ModelVersion(
        project_id=plan.project.id,
        parent_id=plan.parent.id if plan.parent else None,
        job_id=step.claim.job_id,
        architecture=description,
        mask_ids=plan.divided.mask_ids,
        scores=_scores(step, plan, model, trained.best, trained.epochs_run),
        seed=seed,
        seconds=time.monotonic() - started,
    )
    return _Made(made, Blob.of(weights.dump(trained.state)))


def _scores(
    step: Step, plan: _Plan, model: Network, best: Epoch, epochs_run: int
) -> dict[str, Any]:
    """Both forms of Dice on validation and test, and how training went."""
    scores: dict[str, Any] = {
        "labelled": len(plan.training)
        + (len(plan.validation) if plan.divided.validation_kind == "held-out" else 0),
        "validation_kind": plan.divided.validation_kind,
        "best_epoch": best.epoch,
        "epochs": epochs_run,
        "train_loss": best.train_loss,
        "foreground_pixels": sum(_foreground(sample) for sample in plan.training),
        "blank": sum(_foreground(sample) == 0 for sample in plan.training),
    }
    for name, subset in (("validation", plan.validation), ("test", plan.test)):
        if subset:
            step.check()
            scores[name] = evaluate(model, subset, plan.settings.batch_size, step.device)
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
