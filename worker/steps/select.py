"""Step three: select the next batch, draw suggestions for it, open the round."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sqlalchemy.orm import Session

from app.core.pixels import encode
from app.core.project_settings import QuerySettings, job_query_settings
from app.core.seeds import derived_seed
from app.loop import learning, training_set
from app.loop.learning import Chosen
from app.store import Project
from worker.acquisition.diversity import mean_nearest
from worker.acquisition.pool import Pick, PoolScores, Strategy, pool_scores
from worker.picks import check_picks
from worker.registry import find_measure, find_strategy
from worker.segmentation import weights
from worker.segmentation.network import Network
from worker.segmentation.pool_map import spread
from worker.segmentation.scoring import Maps, classes_of, pooled_features, predict
from worker.steps.context import FEATURES, Step, samples
from worker.steps.score import scoring_settings

# Without gradients and without a decoder, more at once is faster.
_FEATURE_BATCH = 16
# Slices on the map: t-SNE of so many takes seconds, and more dots cannot be told apart.
_MAP_POOL, _MAP_LABELLED = 500, 200


def run(step: Step) -> tuple[str, ...]:
    """Open the next round, or end the loop when the pool is used up."""
    with step.database.reading() as session:
        project = session.get_one(Project, step.claim.project_id)
        settings = job_query_settings(step.claim.payload, project)
        model = learning.model_of_job(session, step.claim.job_id)
        if model is None:
            raise LookupError(f"job {step.claim.job_id} has trained no model")
        strategy = find_strategy(settings.strategy)
        seed = derived_seed(settings.seed, "select", model.number)
        network = weights.restore(model.architecture, model.weights).placed(step.device)
        offered = _offered(session, step, project, settings, model.id, strategy, network)
        ids, pool = offered.ids, offered.pool
        picks = strategy.select(pool, settings.size, seed) if ids else []
        picks = check_picks(strategy.name, picks, settings.size, len(ids))
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
    places = _places(offered, picks, seed)
    with step.database.writing() as session:
        figures = {"nearest": _nearest(pool, picks)}
        learning.open_next_round(session, step.claim, model.id, seed, chosen, figures, places)
    return ()


@dataclass(frozen=True)
class _Offered:
    """The slices that may be asked for and what is known of them; and those that are labelled."""

    ids: list[int]
    pool: PoolScores
    labelled: list[int]


def _offered(
    session: Session,
    step: Step,
    project: Project,
    settings: QuerySettings,
    model_id: int,
    strategy: Strategy,
    network: Network,
) -> _Offered:
    """What may be asked for, and what the strategy is told of it."""
    ids = learning.selectable(session, project)
    progress = learning.share_labelled(session, project.id)
    if strategy.measure is None:
        nothing = torch.zeros(len(ids))
        return _Offered(ids, PoolScores(nothing, nothing, nothing, progress=progress), [])
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
    pool = pool_scores(
        [one.score for one in scored],
        settings.reduction,
        foreground=torch.tensor([one.foreground_pixels or 0 for one in scored]) if whole else None,
        features=torch.from_numpy(np.stack(vectors).astype(np.float32)) if whole else None,
        labelled_features=torch.from_numpy(seen),
        cases=torch.tensor([one.case_id for one in scored]).unique(return_inverse=True)[1],
        progress=progress,
    )
    return _Offered([one.score.slice_id for one in scored], pool, labelled)


def _places(offered: _Offered, picks: Sequence[Pick], seed: int) -> dict[int, tuple[float, float]]:
    """Where the batch, the labelled slices and a draw of the rest lie on the map of the pool."""
    features, seen = offered.pool.features, offered.pool.labelled_features
    if features is None or seen is None:
        return {}
    rng = np.random.default_rng(seed)
    batch = [pick.index for pick in picks]
    rest = rng.permutation(np.setdiff1d(np.arange(len(offered.ids)), batch)).tolist()
    shown = [*batch, *rest][:_MAP_POOL]
    labelled = rng.permutation(len(offered.labelled))[:_MAP_LABELLED].tolist()
    points = spread(torch.cat([features[shown], seen[labelled]]).numpy(), seed)
    ids = [*(offered.ids[i] for i in shown), *(offered.labelled[i] for i in labelled)]
    return {one: (float(x), float(y)) for one, (x, y) in zip(ids, points, strict=False)}


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
    scale = 255 / find_measure(measure).highest(maps.probability.shape[1])
    classes = classes_of(maps).to(torch.uint8).cpu().numpy()
    shades = (maps.measures[measure] * scale).clamp(0, 255).round().to(torch.uint8).cpu().numpy()
    drawings = []
    for n, sample in enumerate(maps.samples):
        h, w = sample.size
        crop = (n, slice(h), slice(w))
        drawings.append(
            (
                encode(np.ascontiguousarray(classes[crop])),
                encode(np.ascontiguousarray(shades[crop])),
            )
        )
    return drawings
