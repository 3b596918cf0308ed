"""What a retraining leaves: the model, the scores, the next round; and what it chooses from.

Each function here is one step's reading or one step's single guarded transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, exists, func, insert, select
from sqlalchemy.orm import Session

from app.core.errors import NotFound
from app.core.project_settings import job_query_settings
from app.core.splits import Split
from app.loop import claims
from app.loop.access import record
from app.loop.claims import Claim
from app.loop.rounds import (
    add_items,
    ask_again,
    close_round,
    open_round,
    start_round,
    unlabelled_pool,
)
from app.store import (
    Account,
    Label,
    Lease,
    MapPoint,
    ModelVersion,
    Prediction,
    Project,
    Round,
    Score,
    Slice,
    Suggestion,
    Truth,
    utc_now,
)


def pool_to_score(session: Session, project_id: int, first: int, last: int) -> list[int]:
    """The ids of the unanswered pool between two ids, both included."""
    pool = unlabelled_pool(session.get_one(Project, project_id))
    return list(session.scalars(pool.where(Slice.id.between(first, last))))


def shards(
    session: Session, project_id: int, model_id: int, size: int, common: dict[str, Any]
) -> list[dict[str, Any]]:
    """The unanswered pool cut into ranges of ids, ``size`` slices each; payloads of their jobs."""
    ids = list(session.scalars(unlabelled_pool(session.get_one(Project, project_id))))
    cuts = [ids[i : i + size] for i in range(0, len(ids), size)]
    return [{"model": model_id, "first": cut[0], "last": cut[-1], **common} for cut in cuts]


def current_model(session: Session, project_id: int) -> ModelVersion | None:
    """The project's model: the one that was made or promoted last."""
    return session.scalar(
        select(ModelVersion)
        .where(ModelVersion.project_id == project_id)
        .order_by(
            func.coalesce(ModelVersion.promoted_at, ModelVersion.created_at).desc(),
            ModelVersion.number.desc(),
        )
        .limit(1)
    )


def next_model_number(session: Session, project_id: int) -> int:
    """The number that the project's next model gets."""
    of_project = ModelVersion.project_id == project_id
    return (session.scalar(select(func.max(ModelVersion.number)).where(of_project)) or 0) + 1


def promote(session: Session, model_id: int, by: Account) -> ModelVersion:
    """Make a model the current one: exports hold it, and the next training starts from it.

    Raises ``NotFound``.
    """
    model = find_model(session, model_id)
    model.promoted_at = utc_now()
    record(session, "model.promote", by, model.project_id, model=model.id, number=model.number)
    return model


def find_model(session: Session, model_id: int) -> ModelVersion:
    """The model of that id. Raises ``NotFound``."""
    model = session.get(ModelVersion, model_id)
    if model is None:
        raise NotFound(f"there is no model {model_id}")
    return model


def model_of_job(session: Session, job_id: int) -> ModelVersion | None:
    """The model that a job has trained already, in this or an earlier attempt."""
    return session.scalar(select(ModelVersion).where(ModelVersion.job_id == job_id))


def save_model(session: Session, held: Claim, model: ModelVersion) -> ModelVersion:
    """Keep a trained model under the next number. Raises ``ClaimLost``."""
    claims.hold(session, held)
    model.number = next_model_number(session, model.project_id)
    session.add(model)
    session.flush()
    return model


def save_scores(
    session: Session,
    held: Claim,
    scores: Sequence[dict[str, Any]],
    predictions: Sequence[dict[str, Any]],
) -> None:
    """Keep scores by (model, slice, measure) and predictions by (model, slice), replacing what
    a lost attempt left.
    """
    claims.hold(session, held)
    tables: tuple[tuple[type[Score | Prediction], Sequence[dict[str, Any]]], ...] = (
        (Score, scores),
        (Prediction, predictions),
    )
    for table, rows in tables:
        if not rows:
            continue
        slice_ids = {row["slice_id"] for row in rows}
        session.execute(
            delete(table).where(
                table.model_id == rows[0]["model_id"], table.slice_id.in_(slice_ids)
            )
        )
        session.execute(insert(table), list(rows))


def selectable(session: Session, project: Project) -> list[int]:
    """The slices that the next batch may hold: unanswered, and in nobody's hands."""
    leased = exists().where(
        Lease.slice_id == Slice.id, Lease.ended_at.is_(None), Lease.expires_at > utc_now()
    )
    return list(session.scalars(unlabelled_pool(project).where(~leased)))


@dataclass(frozen=True)
class Scored:
    """What a model says of a slice: its sums, its case, predicted foreground, features."""

    score: Score
    case_id: int
    foreground_pixels: int | None
    features: bytes | None


def scores_of(
    session: Session, model_id: int, measure: str, slice_ids: Sequence[int]
) -> list[Scored]:
    """One measure's scores of the slices that have one, in the order of the ids."""
    wanted = set(slice_ids)
    query = (
        select(Score, Slice.case_id, Prediction.foreground_pixels, Prediction.features)
        .join(Slice, Slice.id == Score.slice_id)
        .outerjoin(
            Prediction,
            (Prediction.model_id == Score.model_id) & (Prediction.slice_id == Score.slice_id),
        )
        .where(Score.model_id == model_id, Score.measure == measure)
        .order_by(Score.slice_id)
    )
    return [Scored(*row) for row in session.execute(query) if row[0].slice_id in wanted]


def share_labelled(session: Session, project_id: int) -> float:
    """The share of the pool that is labelled."""
    total, labelled = session.execute(
        select(func.count(Slice.id), func.count(Label.slice_id))
        .outerjoin(Label, Label.slice_id == Slice.id)
        .where(Slice.project_id == project_id, Slice.split == Split.POOL)
    ).one()
    return float(labelled / total) if total else 0.0


@dataclass(frozen=True)
class Chosen:
    """One slice of the coming batch, with the model's mask and uncertainty map as PNG."""

    slice_id: int
    stream: str
    score: float | None
    mask_png: bytes
    uncertainty_png: bytes


def open_next_round(
    session: Session,
    held: Claim,
    model_id: int,
    seed: int,
    chosen: Sequence[Chosen],
    figures: dict[str, Any],
    places: Mapping[int, tuple[float, float]],
) -> Round | None:
    """Close the round and open the next with its suggestions, and end the job. One transaction.

    Returns None when nothing was left to choose: the loop has come to its end. Slices that
    were answered since they were chosen are left out. ``places`` is where slices lie on the map of
    the pool, by id. Raises ``ClaimLost``.
    """
    job = claims.hold(session, held)
    project = session.get_one(Project, job.project_id)
    last = open_round(session, project)
    still = set(selectable(session, project))
    chosen = [c for c in chosen if c.slice_id in still]
    round_ = None
    if chosen:
        settings = job_query_settings(held.payload, project)
        round_ = start_round(session, project, model_id, settings, seed)
        round_.figures = figures
        _add_items(session, round_, model_id, chosen)
        ask_again(session, round_)
        session.add_all(
            MapPoint(round_id=round_.id, slice_id=slice_id, x=x, y=y)
            for slice_id, (x, y) in places.items()
        )
    else:
        close_round(session, last)
    _forget_predictions(session, project.id, model_id)
    claims.finish(session, held, round=round_.number if round_ else None)
    return round_


def _forget_predictions(session: Session, project_id: int, but: int) -> None:
    """Features are large and nobody asks for those of an older model again."""
    older = select(ModelVersion.id).where(
        ModelVersion.project_id == project_id, ModelVersion.id != but
    )
    session.execute(delete(Prediction).where(Prediction.model_id.in_(older)))


def _add_items(session: Session, round_: Round, model_id: int, chosen: Sequence[Chosen]) -> None:
    slice_ids = [c.slice_id for c in chosen]
    session.execute(
        delete(Suggestion).where(
            Suggestion.model_id == model_id, Suggestion.slice_id.in_(slice_ids)
        )
    )
    add_items(session, round_, [(c.slice_id, c.stream, c.score) for c in chosen])
    session.add_all(
        Suggestion(
            model_id=model_id,
            slice_id=c.slice_id,
            mask_png=c.mask_png,
            uncertainty_png=c.uncertainty_png,
        )
        for c in chosen
    )


def truths(session: Session, project_id: int) -> dict[int, bytes]:
    """The hidden masks by slice, as PNG, for the simulated oracle alone."""
    query = (
        select(Truth.slice_id, Truth.png)
        .join(Slice, Slice.id == Truth.slice_id)
        .where(Slice.project_id == project_id)
    )
    return {slice_id: png for slice_id, png in session.execute(query)}
