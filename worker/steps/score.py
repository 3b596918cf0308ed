"""Step two: score one shard of the pool, slice by slice as they stream by."""

from dataclasses import asdict
from typing import Any

import numpy as np

from app.core.project_settings import QuerySettings, job_query_settings
from app.core.seeds import derived_seed
from app.loop import claims, models, next_round, training_set
from app.loop.pool_maps import FEATURES
from app.store import ModelVersion, Project
from worker.registry import find_strategy
from worker.segmentation import weights
from worker.segmentation.scoring import Features, RegionSums, ScoringSettings, SliceScores, score
from worker.steps.context import Step, noted, samples

# Beyond it float16 is infinite, and a distance to infinity is no number.
_LARGEST = float(np.finfo(FEATURES).max)


def run(step: Step) -> tuple[str, ...]:
    """Score the shard's slices; returns the queues to announce.

    Those that were answered since are scored too: the batches that the others are scored in must
    not hang on when somebody answers.
    """
    payload = step.claim.payload
    rows: list[dict[str, Any]] = []
    features: list[dict[str, Any]] = []
    with step.database.reading() as session:
        model = session.get_one(ModelVersion, payload["model"])
        project = session.get_one(Project, step.claim.project_id)
        settings = job_query_settings(payload, project)
        network = weights.restore(model.architecture, models.weights_of(session, model))
        ids: list[int] = next_round.slices_of(session, project, payload)
        seen: list[int] = []
        loaded = samples(noted(training_set.load_slices(session, ids, network.context), seen))
        scored = score(
            network.placed(step.device),
            step.clock.each("reading", loaded),
            find_strategy(settings.strategy).measure or "entropy",
            scoring_settings(settings, model.number, step.compute.scoring_batch),
            step.device,
            step.precision,
        )
        for done, scores in enumerate(step.clock.each("scoring", scored), start=1):
            slice_id = seen[done - 1]
            rows += [_row(model.id, slice_id, one) for one in scores.measures]
            features.append(_features(model.id, slice_id, scores))
            step.report({"slices_scored": done, "slices_to_score": len(ids)})
    with step.database.writing() as session:
        with step.clock.part("writing"):
            next_round.save_scores(session, step.claim, rows, features)
        return claims.finish(
            session,
            step.claim,
            slices_scored=len(seen),
            precision=str(step.precision),
            machine=str(step.compute.machine),
            seconds=step.clock.seconds,
        )


def scoring_settings(
    settings: QuerySettings, model_number: int, batch_size: int
) -> ScoringSettings:
    """A project's query settings as the scoring takes them."""
    return ScoringSettings(
        target_threshold=settings.target_threshold,
        boundary_width=settings.boundary_width,
        mc_passes=settings.mc_passes,
        batch_size=batch_size,
        seed=derived_seed(settings.seed, "passes", model_number),
    )


def _row(model_id: int, slice_id: int, sums: RegionSums) -> dict[str, Any]:
    return {"model_id": model_id, "slice_id": slice_id, **asdict(sums)}


def _features(model_id: int, slice_id: int, scores: SliceScores) -> dict[str, Any]:
    return {
        "model_id": model_id,
        "slice_id": slice_id,
        "foreground_pixels": scores.foreground_pixels,
        "features": feature_bytes(scores.features),
    }


def feature_bytes(features: Features) -> bytes:
    """A slice's features (F,) as they are stored."""
    return features.clip(-_LARGEST, _LARGEST).astype(FEATURES).tobytes()
