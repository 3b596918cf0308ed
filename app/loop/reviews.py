"""What waits for a reviewer, and how annotators fare."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session, contains_eager

from app.core.project_settings import query_settings
from app.loop.paging import Page, paginate
from app.loop.readings import count_of, superseded
from app.store import (
    Account,
    Agreement,
    Mask,
    MaskSource,
    Project,
    QueryItem,
    Review,
    ReviewState,
    Role,
    Round,
    Slice,
    Suggestion,
)


@dataclass(frozen=True)
class ToReview:
    """A slice with its readings, each annotator's newest, and what reviewers said of it so far."""

    slice: Slice
    readings: list[Mask]
    comments: list[Review]
    suggested: bool
    stream: str | None


def to_review(session: Session, project: Project, cursor: int | None, limit: int) -> Page[ToReview]:
    """A page of the slices whose readings are all in and of which nothing was accepted yet."""
    query = _waiting(project).join(Slice.case).options(contains_eager(Slice.case))
    return paginate(session, query, Slice.id, cursor, limit, lambda s: _to_review(session, s))


def _waiting(project: Project) -> Select[Slice]:
    pending = exists().where(
        Mask.slice_id == Slice.id,
        Mask.review_state == ReviewState.PENDING,
        Mask.source != MaskSource.IMPORT,
        ~superseded(),
    )
    accepted = exists().where(Mask.slice_id == Slice.id, Mask.review_state == ReviewState.ACCEPTED)
    return select(Slice).where(
        Slice.project_id == project.id,
        pending,
        ~accepted,
        count_of(Slice.id.expression) >= query_settings(project).readers_per_slice,
    )


def _to_review(session: Session, slice_: Slice) -> ToReview:
    masks = session.scalars(
        select(Mask)
        .join(Mask.author)
        .options(contains_eager(Mask.author))
        .where(Mask.slice_id == slice_.id)
        .order_by(Mask.id)
    ).all()
    newest = {mask.author_id: mask for mask in masks}
    comments = session.scalars(
        select(Review)
        .join(Mask, Mask.id == Review.mask_id)
        .where(Mask.slice_id == slice_.id, Review.comment != "")
        .order_by(Review.id)
    ).all()
    suggested = session.scalar(select(exists().where(Suggestion.slice_id == slice_.id)))
    stream = session.scalar(
        select(QueryItem.stream)
        .join(Round, Round.id == QueryItem.round_id)
        .where(QueryItem.slice_id == slice_.id)
        .order_by(Round.number.desc())
        .limit(1)
    )
    return ToReview(slice_, list(newest.values()), list(comments), bool(suggested), stream)


def count_to_review(session: Session, project: Project) -> int:
    """How many slices wait for a reviewer."""
    waiting = _waiting(project).with_only_columns(func.count(Slice.id))
    return session.scalar(waiting) or 0


def annotator_days(session: Session, project: Project, reader: Account) -> list[dict[str, Any]]:
    """What each annotator drew on each day (UTC): masks, seconds, rejections, agreement.

    Agreement is the mean Dice with the other readers of the same slices. Annotators are told
    of themselves alone, so that readings stay independent.
    """
    query = (
        select(
            Account.name,
            Mask.id,
            Mask.created_at,
            Mask.seconds,
            Mask.foreground_pixels,
            Mask.review_state,
        )
        .join(Mask, Mask.author_id == Account.id)
        .join(Slice, Slice.id == Mask.slice_id)
        .where(
            Slice.project_id == project.id,
            Mask.source.in_((MaskSource.HUMAN, MaskSource.ORACLE)),
        )
        .order_by(Mask.id)
    )
    if not reader.role.includes(Role.REVIEWER):
        query = query.where(Account.id == reader.id)
    alike = _agreements(session, project)
    days: dict[tuple[str, date], dict[str, Any]] = {}
    found: dict[tuple[str, date], list[float]] = defaultdict(list)
    for name, mask_id, created_at, seconds, foreground, state in session.execute(query):
        key = (name, created_at.date())
        day = days.setdefault(
            key,
            {
                "account": name,
                "day": created_at.date(),
                "masks": 0,
                "timed": 0,
                "seconds": 0.0,
                "blank": 0,
                "rejected": 0,
            },
        )
        day["masks"] += 1
        day["timed"] += seconds is not None
        day["seconds"] += seconds or 0.0
        day["blank"] += foreground == 0
        day["rejected"] += state is ReviewState.REJECTED
        found[key] += alike.get(mask_id, [])
    return [
        day | {"agreement": sum(found[key]) / len(found[key]) if found[key] else None}
        for key, day in days.items()
    ]


def _agreements(session: Session, project: Project) -> dict[int, list[float]]:
    """The Dice values of each mask with others, by either's id."""
    query = (
        select(Agreement)
        .join(Mask, Mask.id == Agreement.mask_id)
        .join(Slice, Slice.id == Mask.slice_id)
        .where(Slice.project_id == project.id)
    )
    alike: dict[int, list[float]] = defaultdict(list)
    for one in session.scalars(query):
        alike[one.mask_id].append(one.dice)
        alike[one.other_id].append(one.dice)
    return alike
