"""The learning curve and the rounds behind it, as people watch them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session, joinedload

from app.core.errors import NotFound
from app.core.project_settings import query_settings
from app.core.splits import Split
from app.loop import jobs
from app.loop.learning import find_model
from app.loop.paging import Page, page_of, paginate
from app.loop.reviews import count_to_review
from app.loop.rounds import batch_state
from app.loop.stopping import Point, area_under_budget_curve, stopping_hint
from app.store import (
    ACTIVE_STATES,
    Case,
    Event,
    Job,
    Label,
    MapPoint,
    Mask,
    ModelVersion,
    Project,
    QueryItem,
    Round,
    RoundState,
    Slice,
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
    scored = _seconds_to_score(session, project.id)
    settings = query_settings(project)
    comparable = _comparable(models)
    return {
        "project": project.name,
        "slices": _slice_counts(session, project.id),
        "learning_curve": [
            curve_point(model) | {"seconds_score": scored.get(model.id)} for model in models
        ],
        "area_under_budget_curve": {
            dice: area_under_budget_curve([Point(labelled, s[dice]) for labelled, s in comparable])
            for dice in ("dice_case", "dice_slice")
        },
        "stopping": stopping_hint(
            [Point(labelled, s["dice_case"]) for labelled, s in comparable],
            settings.stop_below,
            settings.stop_rounds,
        ),
        "to_review": count_to_review(session, project),
        "round": round_view(session, open_round) if open_round else None,
        "job": jobs.view(session, active) if active else None,
    }


def _comparable(models: Sequence[ModelVersion]) -> list[tuple[int, dict[str, Any]]]:
    """Labels and Dice of the newest models that were all measured on the same kind of cases."""
    points: list[tuple[int, dict[str, Any]]] = []
    kind = None
    for model in reversed(models):
        scores = model.scores
        measured = "test" if "test" in scores else "validation"
        found = scores.get(measured), (measured, scores.get("validation_kind"))
        if found[0] is None or scores.get("labelled") is None or kind not in (None, found[1]):
            break
        kind = found[1]
        points.append((scores["labelled"], found[0]))
    return points[::-1]


def _seconds_to_score(session: Session, project_id: int) -> dict[int, float]:
    """From a model's end of training to the round that it opened: scoring and selecting."""
    query = (
        select(ModelVersion.id, ModelVersion.created_at, Round.created_at)
        .join(Round, Round.model_id == ModelVersion.id)
        .where(ModelVersion.project_id == project_id)
    )
    return {model: (later - made).total_seconds() for model, made, later in session.execute(query)}


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
        "foreground_pixels": model.scores.get("foreground_pixels"),
        "blank": model.scores.get("blank"),
        "dice": {k: v for k, v in model.scores.items() if k in ("validation", "test")},
        "validation_kind": model.scores.get("validation_kind"),
        "seconds": model.seconds,
        "created_at": model.created_at,
    }


def round_view(session: Session, round_: Round) -> dict[str, Any]:
    """A round with how far it has come."""
    state = batch_state(session, round_)
    asked = _asked_for(session, round_)
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
        **asked,
        "nearest": round_.figures.get("nearest"),
        "created_at": round_.created_at,
        "closed_at": round_.closed_at,
    }


def _asked_for(session: Session, round_: Round) -> dict[str, Any]:
    """What a round's labels were spent on: blank slices, outlined pixels, cases, streams."""
    labelled = session.execute(
        select(
            func.coalesce(func.sum(Mask.foreground_pixels), 0),
            func.coalesce(func.sum(case((Mask.foreground_pixels == 0, 1), else_=0)), 0),
        )
        .select_from(QueryItem)
        .join(Label, Label.slice_id == QueryItem.slice_id)
        .join(Mask, Mask.id == Label.mask_id)
        .where(QueryItem.round_id == round_.id)
    ).one()
    cases = session.scalar(
        select(func.count(Slice.case_id.distinct()))
        .join(QueryItem, QueryItem.slice_id == Slice.id)
        .where(QueryItem.round_id == round_.id)
    )
    streams = session.execute(
        select(QueryItem.stream, func.count())
        .where(QueryItem.round_id == round_.id)
        .group_by(QueryItem.stream)
        .order_by(QueryItem.stream)
    )
    return {
        "foreground_pixels": int(labelled[0]),
        "blank": int(labelled[1]),
        "cases": cases or 0,
        "streams": {stream: count for stream, count in streams},
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


def round_map(session: Session, round_id: int) -> dict[str, Any]:
    """Where a round's model puts the pool, and which slices were asked for or are labelled."""
    round_ = session.get(Round, round_id)
    if round_ is None:
        raise NotFound(f"there is no round {round_id}")
    asked = {
        slice_id: (stream, number)
        for slice_id, stream, number in session.execute(
            select(QueryItem.slice_id, QueryItem.stream, Round.number)
            .join(Round, Round.id == QueryItem.round_id)
            .where(Round.project_id == round_.project_id)
            .order_by(Round.number)
        )
    }
    rows = session.execute(
        select(MapPoint, Case.name, Slice.index, Label.mask_id)
        .join(Slice, Slice.id == MapPoint.slice_id)
        .join(Case, Case.id == Slice.case_id)
        .outerjoin(Label, Label.slice_id == MapPoint.slice_id)
        .where(MapPoint.round_id == round_id)
        .order_by(MapPoint.slice_id)
    )
    points = []
    for point, case_name, index, mask_id in rows:
        stream, number = asked.get(point.slice_id, (None, None))
        in_batch = number == round_.number
        points.append(
            {
                "slice": point.slice_id,
                "case": case_name,
                "index": index,
                "x": point.x,
                "y": point.y,
                "state": "batch" if in_batch else "labelled" if mask_id else "pool",
                "stream": stream,
                "round": number,
            }
        )
    return {"round": round_.number, "points": points}


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


def training_masks(
    session: Session, model_id: int, cursor: int | None, limit: int
) -> Page[dict[str, Any]]:
    """A page of the masks that a model was trained on, with the slices that they are of.

    Raises ``NotFound``.
    """
    ids = sorted(id_ for id_ in find_model(session, model_id).mask_ids if id_ > (cursor or 0))
    rows = session.execute(
        select(Mask, Case.name, Slice.index)
        .join(Slice, Slice.id == Mask.slice_id)
        .join(Case, Case.id == Slice.case_id)
        .where(Mask.id.in_(ids[: limit + 1]))
        .options(joinedload(Mask.author))
        .order_by(Mask.id)
    ).all()
    return page_of(
        rows,
        limit,
        key=lambda row: row[0].id,
        view=lambda row: {
            "mask": row[0].id,
            "slice": row[0].slice_id,
            "case": row[1],
            "index": row[2],
            "author": row[0].author.name,
            "foreground_pixels": row[0].foreground_pixels,
        },
    )


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
        "promoted_at": model.promoted_at,
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
