"""Step three: select the next batch, draw suggestions for it, open the round."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sqlalchemy.orm import Session

from app.core.blob import Blob
from app.core.errors import NothingScored
from app.core.pixels import encode
from app.core.project_settings import QuerySettings, job_query_settings
from app.core.seeds import derived_seed
from app.core.streams import Stream
from app.core.variety import explore, reason_to_explore
from app.loop import models, next_round, training_set
from app.loop.batches import selectable
from app.loop.next_round import Chosen, Selection, model_made_after
from app.loop.pool_maps import FEATURES
from app.loop.variety import appearances_of
from app.store import ModelVersion, Project
from worker.acquisition.diversity import mean_nearest
from worker.acquisition.pool import Pick, PoolScores, Strategy, pool_scores
from worker.picks import check_picks
from worker.registry import find_measure, find_strategy
from worker.segmentation import weights
from worker.segmentation.network import Network
from worker.segmentation.scoring import Features, Maps, classes_of, pooled_features, predict
from worker.steps.context import Step, noted, samples
from worker.steps.score import feature_bytes, scoring_settings

# Without gradients and without a decoder, more at once is faster.
_FEATURE_BATCH = 16
# Slices that a draw for variety looks at: of more, a seeded draw is as varied.
_EXPLORED = 10_000
# What suggestions are shaded by where the strategy has no measure of its own.
_DEFAULT_MEASURE = "entropy"


def run(step: Step) -> tuple[str, ...]:
    """Open the next round, or end the loop when the pool is used up."""
    with step.database.reading() as session, step.clock.part("selecting"):
        project = session.get_one(Project, step.claim.project_id)
        settings = job_query_settings(step.claim.payload, project)
        trained = models.model_of_job(session, step.claim.job_id)
        if trained is None:
            raise LookupError(f"job {step.claim.job_id} has trained no model")
        # A model that was held back neither scores nor selects: its parent does.
        going_on = step.claim.payload.get("model", trained.id)
        model = session.get_one(ModelVersion, going_on)
        strategy = find_strategy(settings.strategy)
        seed = derived_seed(settings.seed, "select", model.number)
        bytes_of_model = models.weights_of(session, model)
        network = weights.restore(model.architecture, bytes_of_model).placed(step.device)
        offered = _offered(session, step, project, settings, model.id, strategy, network)
        picks = _picks(session, project.id, offered, strategy, settings.size, seed)
        ids = [offered.ids[pick.index] for pick in picks]
        loaded = list(training_set.load_slices(session, ids, network.context))
    measure = strategy.measure or _DEFAULT_MEASURE
    streamed = predict(
        network,
        samples(loaded),
        measure,
        scoring_settings(settings, model.number, step.compute.scoring_batch),
        step.device,
        step.precision,
    )
    with step.clock.part("suggestions"):
        drawings = [drawing for maps in streamed for drawing in _draw(maps, measure)]
    # What was deleted since it was picked has no drawing.
    drawn = {one.slice_id: drawing for one, drawing in zip(loaded, drawings, strict=True)}
    selection = Selection(
        seed=seed,
        chosen=[
            Chosen(slice_id, pick.stream, pick.score, *drawn[slice_id])
            for slice_id, pick in zip(ids, picks, strict=True)
            if slice_id in drawn
        ],
        features=[
            {"model_id": model.id, "slice_id": slice_id, "features": feature_bytes(row)}
            for slice_id, row in zip(offered.labelled, offered.seen, strict=True)
        ],
        nearest=_nearest(offered.pool, picks),
        exploring=offered.exploring,
    )
    notes = {"machine": str(step.compute.machine), "seconds": step.clock.seconds}
    with step.database.writing() as session:
        next_round.open_next_round(session, step.claim, model.id, selection, notes)
    return ()


@dataclass(frozen=True)
class _Offered:
    """The slices that may be asked for and what is known of them; and those that are labelled,
    with their features ``seen`` (M, F).

    ``exploring``: why no uncertainty can choose among them.
    """

    ids: list[int]
    pool: PoolScores
    labelled: list[int]
    seen: Features
    exploring: str | None = None


def _offered(
    session: Session,
    step: Step,
    project: Project,
    settings: QuerySettings,
    model_id: int,
    strategy: Strategy,
    network: Network,
) -> _Offered:
    """What may be asked for, and what the strategy is told of it. Raises ``NothingScored``."""
    ids = selectable(session, project)
    progress = next_round.share_labelled(session, project.id)
    if strategy.measure is None:
        nothing = torch.zeros(len(ids))
        scores = PoolScores(nothing, nothing, nothing, progress=progress)
        return _Offered(ids, scores, [], np.zeros((0, 0), dtype=np.float32))
    scored = next_round.scores_of(session, model_id, strategy.measure, ids)
    if ids and not scored and model_made_after(session, model_id, ids):
        raise NothingScored(
            f"none of the {len(ids)} slices that are left was scored by the measure "
            f"{strategy.measure!r} of the strategy {strategy.name!r}: choose another strategy, "
            "or update the workers, and retrain"
        )
    labelled = training_set.labelled_slices(session, project).training if scored else []
    shown: list[int] = []
    with step.clock.part("features of labelled slices"):
        seen = pooled_features(
            network,
            samples(noted(training_set.load_slices(session, labelled, network.context), shown)),
            _FEATURE_BATCH,
            step.device,
            step.precision,
        )
    vectors = [np.frombuffer(one.features, FEATURES) for one in scored if one.features is not None]
    whole = bool(vectors) and len(vectors) == len(scored)
    pool = pool_scores(
        [one.score for one in scored],
        settings.reduction,
        foreground=torch.tensor([one.foreground_pixels or 0 for one in scored]) if whole else None,
        features=torch.from_numpy(np.stack(vectors).astype(np.float32)) if whole else None,
        labelled_features=torch.from_numpy(seen) if len(seen) else None,
        cases=torch.tensor([one.case_id for one in scored]).unique(return_inverse=True)[1],
        progress=progress,
    )
    exploring = None
    if scored:
        exploring = reason_to_explore(
            next_round.labelled_foreground(session, project.id),
            sum(one.foreground_pixels or 0 for one in scored),
        )
    return _Offered([one.score.slice_id for one in scored], pool, shown, seen, exploring)


def _picks(
    session: Session, project_id: int, offered: _Offered, strategy: Strategy, k: int, seed: int
) -> list[Pick]:
    """What the strategy picks of what is offered; while there is nothing to go by, variety."""
    if not offered.ids:
        return []
    # Asked and checked even where variety decides: a strategy that fails must not pass for one.
    picks = check_picks(strategy.name, strategy.select(offered.pool, k, seed), k, len(offered.ids))
    if offered.exploring is None:
        return picks
    rng = np.random.default_rng(seed)
    index = {slice_id: number for number, slice_id in enumerate(offered.ids)}
    drawn = rng.permutation(np.array(offered.ids))[: max(_EXPLORED, k)].tolist()
    # Held-out cases have given too: what is labelled there must not be asked for again and again.
    given = next_round.labelled_pool(session, project_id)
    seen = appearances_of(session, project_id, [*drawn, *given])
    at = {slice_id: place for place, slice_id in enumerate(seen.ids)}
    taken = [at[slice_id] for slice_id in given if slice_id in at]
    picked = explore(seen.thumbnails, seen.cases, seen.places, k, rng, taken)
    return [Pick(index[seen.ids[one]], Stream.EXPLORE, None) for one in picked]


def _nearest(pool: PoolScores, picks: Sequence[Pick]) -> float | None:
    """How far the batch's slices lie from their nearest labelled neighbour, if that is known."""
    if pool.features is None or pool.labelled_features is None or not picks:
        return None
    batch = pool.features[[pick.index for pick in picks]]
    scale = pool.features.std(dim=0, correction=0)
    found = mean_nearest(batch, pool.labelled_features, scale)
    return None if math.isnan(found) else found


def _draw(maps: Maps, measure: str) -> list[tuple[Blob, Blob]]:
    """For each slice of the batch its predicted mask and its uncertainty map, as PNG."""
    scale = 255 / find_measure(measure).highest(maps.probability.shape[1])
    classes = classes_of(maps).to(torch.uint8).cpu().numpy()
    shades = (maps.measures[measure] * scale).clamp(0, 255).round().to(torch.uint8).cpu().numpy()
    drawings = []
    for n, sample in enumerate(maps.samples):
        h, w = sample.image.shape[1:]
        crop = (n, slice(h), slice(w))
        mask, shade = (Blob.of(encode(np.ascontiguousarray(m[crop]))) for m in (classes, shades))
        drawings.append((mask, shade))
    return drawings
