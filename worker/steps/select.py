"""Step three: select the next batch, draw suggestions for it, open the round."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from sqlalchemy.orm import Session

from app.loop import learning, training_set
from app.loop.learning import Chosen
from app.loop.options import query_settings
from app.store import Project
from app.store.pixels import encode
from worker.acquisition.diversity import mean_nearest
from worker.acquisition.pool import Pick, PoolScores, Strategy, pool_scores
from worker.acquisition.strategies import find_strategy
from worker.segmentation import weights
from worker.segmentation.scoring import Maps, classes_of, pooled_features, predict
from worker.segmentation.unet import UNet
from worker.steps.context import FEATURES, Step, derived_seed, samples
from worker.steps.score import scoring_settings

# Without gradients and without a decoder, more at once is faster.
_FEATURE_BATCH = 16


def run(step: Step) -> tuple[str, ...]:
    """Open the next round, or end the loop when the pool is used up."""
    with step.database.reading() as session:
        project = session.get_one(Project, step.claim.project_id)
        settings = query_settings(project)
        model = learning.model_of_job(session, step.claim.job_id)
        if model is None:
            raise LookupError(f"job {step.claim.job_id} has trained no model")
        strategy = find_strategy(settings.strategy)
        seed = derived_seed(settings.seed, "select", model.number)
        network = weights.restore(model.architecture, model.weights).placed(step.device)
        ids, pool = _pool(session, step, project, model.id, strategy, network)
        picks = strategy.select(pool, settings.size, seed) if ids else []
        loaded = list(training_set.load_slices(session, [ids[pick.index] for pick in picks]))
    measure = strategy.measure or "entropy"
    streamed = predict(
        network,
        samples(loaded),
        measure,
        scoring_settings(settings, model.number),
        step.device,
        step.precision,
    )
    drawings = [drawing for maps in streamed for drawing in _draw(maps, measure)]
    chosen = [
        Chosen(ids[pick.index], pick.stream, pick.score, *drawing)
        for pick, drawing in zip(picks, drawings, strict=True)
    ]
    with step.database.writing() as session:
        figures = {"nearest": _nearest(pool, picks)}
        learning.open_next_round(session, step.claim, model.id, seed, chosen, figures)
    return ()


def _pool(
    session: Session,
    step: Step,
    project: Project,
    model_id: int,
    strategy: Strategy,
    network: UNet,
) -> tuple[list[int], PoolScores]:
    """The ids that may be asked for, and what the strategy is told of them."""
    ids = learning.selectable(session, project)
    progress = learning.share_labelled(session, project.id)
    if strategy.measure is None:
        nothing = torch.zeros(len(ids))
        return ids, PoolScores(nothing, nothing, nothing, progress=progress)
    scored = learning.scores_of(session, model_id, strategy.measure, ids)
    labelled = training_set.labelled_slices(session, project).training
    seen = pooled_features(
        network,
        samples(training_set.load_slices(session, labelled)),
        _FEATURE_BATCH,
        step.device,
        step.precision,
    )
    vectors = [np.frombuffer(one.features, FEATURES) for one in scored if one.features is not None]
    whole = bool(vectors) and len(vectors) == len(scored)
    return [one.score.slice_id for one in scored], pool_scores(
        [one.score for one in scored],
        query_settings(project).reduction,
        foreground=torch.tensor([one.foreground_pixels or 0 for one in scored]) if whole else None,
        features=torch.from_numpy(np.stack(vectors).astype(np.float32)) if whole else None,
        labelled_features=torch.from_numpy(seen),
        cases=torch.tensor([one.case_id for one in scored]).unique(return_inverse=True)[1],
        progress=progress,
    )


def _nearest(pool: PoolScores, picks: Sequence[Pick]) -> float | None:
    """How far the batch's slices lie from their nearest labelled neighbour, if that is known."""
    if pool.features is None or pool.labelled_features is None or not picks:
        return None
    batch = pool.features[[pick.index for pick in picks]]
    scale = pool.features.std(dim=0, correction=0)
    found = mean_nearest(batch, pool.labelled_features, scale)
    return None if math.isnan(found) else found


def _draw(maps: Maps, measure: str) -> list[tuple[bytes, bytes]]:
    """For each slice of the batch its predicted mask and its uncertainty map, as PNG."""
    scale = 255 / _highest(measure, maps.probability.shape[1])
    classes = classes_of(maps).to(torch.uint8).cpu().numpy()
    shades = (maps.measures[measure] * scale).clamp(0, 255).round().to(torch.uint8).cpu().numpy()
    drawings = []
    for n, sample in enumerate(maps.samples):
        h, w = sample.image.shape
        crop = (n, slice(h), slice(w))
        drawings.append(
            (
                encode(np.ascontiguousarray(classes[crop])),
                encode(np.ascontiguousarray(shades[crop])),
            )
        )
    return drawings


def _highest(measure: str, classes: int) -> float:
    """The highest value that a measure can take in a pixel."""
    return {"least-confidence": 1 - 1 / classes, "margin": 1.0}.get(measure, math.log(classes))
