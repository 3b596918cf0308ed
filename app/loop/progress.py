"""The learning curve and the rounds behind it, as people watch them."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.loop import jobs
from app.loop.paging import Page, page_of, paginate
from app.loop.rounds import batch_state
from app.store import (
    ACTIVE_STATES,
    Case,
    Event,
    Job,
    Label,
    ModelVersion,
    Project,
    QueryItem,
    Round,
    RoundState,
    Slice,
    Split,
)


def progress(session: Session, project: Project) -> dict[str, Any]:
    """Counts of the project's slices, its learning curve, its open round and its running job."""
    models = session.scalars(
        select(ModelVersion)
        .where(ModelVersion.project_id == project.id)
        .order_by(ModelVersion.number)
    ).all()
    open_round = session.scalar(
        select(Round).where(Round.project_id == project.id, Round.state == RoundState.OPEN)
    )
    active = session.scalar(
        select(Job).where(
            Job.project_id == project.id,
            Job.parent_id.is_(None),
            Job.state.in_(ACTIVE_STATES),
        )
    )
    return {
        "project": project.name,
        "slices": _slice_counts(session, project.id),
        "learning_curve": [curve_point(model) for model in models],
        "round": round_view(session, open_round) if open_round else None,
        "job": jobs.view(session, active) if active else None,
    }


def _slice_counts(session: Session, project_id: int) -> dict[str, dict[str, int]]:
    query = (
        select(Slice.split, func.count(Slice.id), func.count(Label.slice_id))
        .outerjoin(Label, Label.slice_id == Slice.id)
        .where(Slice.project_id == project_id)
        .group_by(Slice.split)
    )
    counts = {str(split): {"total": 0, "labelled": 0} for split in Split}
    for split, total, labelled in session.execute(query):
        counts[str(split)] = {"total": total, "labelled": labelled}
    return counts


def curve_point(model: ModelVersion) -> dict[str, Any]:
    """One point of the learning curve: labels on x, and each Dice by its name."""
    return {
        "model": model.id,
        "number": model.number,
        "labelled": model.scores.get("labelled"),
        "training_slices": len(model.mask_ids),
        "dice": {k: v for k, v in model.scores.items() if k in ("validation", "test")},
        "validation_kind": model.scores.get("validation_kind"),
        "seconds": model.seconds,
        "created_at": model.created_at,
    }


def round_view(session: Session, round_: Round) -> dict[str, Any]:
    """A round with how far it has come."""
    state = batch_state(session, round_)
    return {
        "id": round_.id,
        "number": round_.number,
        "state": round_.state,
        "strategy": round_.strategy,
        "settings": round_.settings,
        "model": round_.model_id,
        "size": state.size,
        "labelled": state.labelled,
        "open": state.open,
        "created_at": round_.created_at,
        "closed_at": round_.closed_at,
    }


def round_items(
    session: Session, round_id: int, cursor: int | None, limit: int
) -> Page[dict[str, Any]]:
    """The batch of a round in rank order: why each slice was asked for, and its label."""
    query = (
        select(QueryItem, Slice, Case.name, Label.mask_id)
        .join(Slice, Slice.id == QueryItem.slice_id)
        .join(Case, Case.id == Slice.case_id)
        .outerjoin(Label, Label.slice_id == Slice.id)
        .where(QueryItem.round_id == round_id)
    )
    rows = session.execute(
        query.where(QueryItem.rank > (cursor or 0)).order_by(QueryItem.rank).limit(limit + 1)
    ).all()
    return page_of(
        rows,
        limit,
        key=lambda row: row[0].rank,
        view=lambda row: {
            "rank": row[0].rank,
            "slice": row[1].id,
            "case": row[2],
            "index": row[1].index,
            "stream": row[0].stream,
            "score": row[0].score,
            "mask": row[3],
        },
    )


def list_rounds(
    session: Session, project: Project, cursor: int | None, limit: int
) -> Page[dict[str, Any]]:
    """A page of the project's rounds."""
    query = select(Round).where(Round.project_id == project.id)
    return paginate(session, query, Round.id, cursor, limit, lambda r: round_view(session, r))


def list_models(
    session: Session, project: Project, cursor: int | None, limit: int
) -> Page[dict[str, Any]]:
    """A page of the project's models."""
    query = select(ModelVersion).where(ModelVersion.project_id == project.id)
    return paginate(session, query, ModelVersion.id, cursor, limit, model_view)


def find_model(session: Session, model_id: int) -> ModelVersion:
    """The model of that id. Raises ``NotFound``."""
    model = session.get(ModelVersion, model_id)
    if model is None:
        raise NotFound(f"there is no model {model_id}")
    return model


def model_view(model: ModelVersion) -> dict[str, Any]:
    """A model without its weights."""
    return {
        "id": model.id,
        "number": model.number,
        "parent": model.parent_id,
        "job": model.job_id,
        "architecture": model.architecture,
        "training_masks": model.mask_ids,
        "scores": model.scores,
        "seed": model.seed,
        "seconds": model.seconds,
        "created_at": model.created_at,
    }


def list_events(
    session: Session, project: Project, cursor: int | None, limit: int
) -> Page[dict[str, Any]]:
    """A page of the project's audit trail."""
    query = select(Event).where(Event.project_id == project.id)
    return paginate(
        session,
        query,
        Event.id,
        cursor,
        limit,
        lambda e: {
            "id": e.id,
            "at": e.at,
            "account": e.account_id,
            "action": e.action,
            "detail": e.detail,
        },
    )
