"""Step three: select the next batch, draw suggestions for it, open the round."""

import math

import numpy as np
import torch

from app.loop import learning, training_set
from app.loop.learning import Chosen
from app.loop.options import query_settings
from app.store import Project, Stream
from app.store.pixels import encode
from worker.acquisition.pool import PoolScores, pool_scores
from worker.acquisition.strategies import find_strategy
from worker.segmentation import weights
from worker.segmentation.scoring import Maps, classes_of, predict
from worker.steps.context import Step, derived_seed, samples
from worker.steps.score import scoring_settings


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
        ids = learning.selectable(session, project)
        if strategy.measure is not None:
            scores = learning.scores_of(session, model.id, strategy.measure, ids)
            ids = [s.slice_id for s in scores]
            pool = pool_scores(scores, settings.reduction)
        else:
            nothing = torch.zeros(len(ids))
            pool = PoolScores(nothing, nothing, nothing)
        picks = strategy.select(pool, settings.size, seed)
        loaded = list(training_set.load_slices(session, [ids[pick.index] for pick in picks]))
        network = weights.restore(model.architecture, model.weights).placed(step.device)
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
        Chosen(ids[pick.index], Stream(pick.stream), pick.score, *drawing)
        for pick, drawing in zip(picks, drawings, strict=True)
    ]
    with step.database.writing() as session:
        learning.open_next_round(session, step.claim, model.id, seed, chosen)
    return ()


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
