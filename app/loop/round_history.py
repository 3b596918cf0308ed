"""Rounds as they are looked back on: what each asked for and why, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from app.core.model_scores import measured_on, without_cases
from app.loop.access import Reader
from app.loop.batches import batch_state
from app.loop.paging import Page, page_of, paginate
from app.loop.pool_maps import MapState, map_state
from app.loop.rounds import find_round
from app.store import (
    Case,
    Label,
    MapPoint,
    Mask,
    ModelVersion,
    Project,
    QueryItem,
    Role,
    Round,
    RoundState,
    Slice,
    database_now,
)


@dataclass(frozen=True)
class RoundView:
    """A round with how far it has come.

    ``foreground_pixels`` and ``blank`` are of the labels of its batch, ``streams`` counts slices
    by the ranked list that asked for them; ``exploring`` says why the batch was drawn for variety.
    ``figures``: what the model that chose it came to, on the cases named by ``on``.
    """

    id: int
    number: int
    state: RoundState
    strategy: str
    settings: dict[str, Any]
    model: int | None
    size: int
    labelled: int
    open: int
    foreground_pixels: int
    blank: int
    cases: int
    streams: dict[str, int]
    nearest: float | None
    exploring: str | None
    figures: dict[str, Any] | None
    created_at: datetime
    closed_at: datetime | None


def round_view(session: Session, round_: Round) -> RoundView:
    """A round with how far it has come."""
    state = batch_state(session, round_)
    foreground_pixels, blank = _spent(session, round_)
    return RoundView(
        id=round_.id,
        number=round_.number,
        state=round_.state,
        strategy=round_.strategy,
        settings=round_.settings,
        model=round_.model_id,
        size=state.size,
        labelled=state.labelled,
        open=state.open,
        foreground_pixels=foreground_pixels,
        blank=blank,
        cases=_cases(session, round_),
        streams=_streams(session, round_),
        nearest=round_.nearest,
        exploring=round_.exploring,
        figures=_figures(session, round_),
        created_at=round_.created_at,
        closed_at=round_.closed_at,
    )


def _figures(session: Session, round_: Round) -> dict[str, Any] | None:
    """Of the round's model, without the single cases."""
    if round_.model_id is None:
        return None
    scores = without_cases(session.get_one(ModelVersion, round_.model_id).scores)
    on = measured_on(scores)
    return None if on is None else {"on": on, **scores[on]}


def _spent(session: Session, round_: Round) -> tuple[int, int]:
    """Outlined pixels and blank slices among the labels of a round's batch."""
    pixels, blank = session.execute(
        select(
            func.coalesce(func.sum(Mask.foreground_pixels), 0),
            func.coalesce(func.sum(case((Mask.foreground_pixels == 0, 1), else_=0)), 0),
        )
        .select_from(QueryItem)
        .join(Label, Label.slice_id == QueryItem.slice_id)
        .join(Mask, Mask.id == Label.mask_id)
        .where(QueryItem.round_id == round_.id)
    ).one()
    return int(pixels), int(blank)


def _cases(session: Session, round_: Round) -> int:
    query = (
        select(func.count(Slice.case_id.distinct()))
        .join(QueryItem, QueryItem.slice_id == Slice.id)
        .where(QueryItem.round_id == round_.id)
    )
    return session.scalar(query) or 0


def _streams(session: Session, round_: Round) -> dict[str, int]:
    query = (
        select(QueryItem.stream, func.count())
        .where(QueryItem.round_id == round_.id)
        .group_by(QueryItem.stream)
        .order_by(QueryItem.stream)
    )
    return {stream: count for stream, count in session.execute(query)}


def list_rounds(
    session: Session, project: Project, cursor: int | None, limit: int
) -> Page[RoundView]:
    """A page of the project's rounds."""
    query = select(Round).where(Round.project_id == project.id)
    return paginate(session, query, Round.id, cursor, limit, lambda r: round_view(session, r))


@dataclass(frozen=True)
class RoundItem:
    """Why a slice was in a round's batch, and the mask that is its label."""

    rank: int
    slice: int
    case: str
    index: int
    stream: str
    score: float | None
    mask: int | None


def round_items(
    session: Session, reader: Reader, round_id: int, cursor: int | None, limit: int
) -> Page[RoundItem]:
    """The batch of a round in rank order: why each slice was asked for, and its label.

    Raises ``NotFound``.
    """
    find_round(session, reader, round_id, Role.VIEWER)
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
        view=lambda row: RoundItem(
            rank=row[0].rank,
            slice=row[1].id,
            case=row[2],
            index=row[1].index,
            stream=row[0].stream,
            score=row[0].score,
            mask=row[3],
        ),
    )


@dataclass(frozen=True)
class PoolPoint:
    """A slice on the map of the pool; stream and round are of what asked for it last."""

    slice: int
    case: str
    index: int
    x: float
    y: float
    state: Literal["pool", "batch", "labelled"]
    stream: str | None
    round: int | None


@dataclass(frozen=True)
class PoolMap:
    """The pool as a round's model sees it, in the plane; ``error``: why it could not be drawn."""

    round: int
    state: MapState
    error: str | None
    points: list[PoolPoint]


def round_map(session: Session, reader: Reader, round_id: int) -> PoolMap:
    """Where a round's model puts the pool, and which slices were asked for or are labelled.

    Raises ``NotFound``.
    """
    round_ = find_round(session, reader, round_id, Role.VIEWER)
    # Before the points: what is said to be drawn by now is there when they are read.
    state = map_state(session, round_, database_now(session))
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
        of_slice: Literal["pool", "batch", "labelled"] = "labelled" if mask_id else "pool"
        points.append(
            PoolPoint(
                slice=point.slice_id,
                case=case_name,
                index=index,
                x=point.x,
                y=point.y,
                state="batch" if number == round_.number else of_slice,
                stream=stream,
                round=number,
            )
        )
    return PoolMap(round_.number, state, round_.map_error, points)
