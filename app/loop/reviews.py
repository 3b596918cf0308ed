"""What waits for a reviewer, and what reviewers say of it."""

from dataclasses import dataclass

from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.orm import Session, contains_eager

from app.core.errors import InvalidInput
from app.core.project_settings import query_settings
from app.loop.access import Reader
from app.loop.audit import record
from app.loop.batches import ask_again
from app.loop.labels import elect_label
from app.loop.masks import Submission, find_mask
from app.loop.paging import Page, paginate
from app.loop.readings import count_of, newest_readings, superseded
from app.loop.retraining import retrain_if_due
from app.loop.rounds import open_round
from app.loop.slice_views import SliceView, view_of, with_images
from app.store import (
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

    slice: SliceView
    readings: list[Mask]
    comments: list[Review]
    suggested: bool
    stream: str | None


def to_review(session: Session, project: Project, cursor: int | None, limit: int) -> Page[ToReview]:
    """A page of the slices whose readings are all in, or that hold a reading which nobody asked
    for, and of which nothing was accepted yet.
    """
    query, channels = with_images(_waiting(project)), project.channels
    return paginate(
        session, query, Slice.id, cursor, limit, lambda s: _to_review(session, view_of(s, channels))
    )


def _waiting(project: Project) -> Select[Slice]:
    pending = exists().where(
        Mask.slice_id == Slice.id,
        Mask.review_state == ReviewState.PENDING,
        Mask.source != MaskSource.IMPORT,
        ~superseded(),
    )
    unasked = exists().where(
        Mask.slice_id == Slice.id,
        Mask.unasked,
        Mask.review_state == ReviewState.PENDING,
        ~superseded(),
    )
    accepted = exists().where(Mask.slice_id == Slice.id, Mask.review_state == ReviewState.ACCEPTED)
    return select(Slice).where(
        Slice.project_id == project.id,
        pending,
        ~accepted,
        or_(count_of(Slice.id.expression) >= query_settings(project).readers_per_slice, unasked),
    )


def _to_review(session: Session, slice_: SliceView) -> ToReview:
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


def review_mask(
    session: Session,
    reader: Reader,
    mask_id: int,
    verdict: ReviewState,
    comment: str,
) -> Submission:
    """Accept or reject a mask. Raises ``NotFound``, ``NotAllowed``, ``InvalidInput``."""
    mask, reviewer = find_mask(session, reader, mask_id, Role.REVIEWER), reader.account
    if verdict is ReviewState.REJECTED and not comment.strip():
        raise InvalidInput("a rejection needs a comment: its author must know what to change")
    slice_ = session.get_one(Slice, mask.slice_id)
    project = session.get_one(Project, slice_.project_id)
    round_ = open_round(session, project)
    judged = [mask]
    if mask.source is MaskSource.CONSENSUS and verdict is ReviewState.REJECTED:
        # What they say together is refused: each of the readers is to look again.
        judged += newest_readings(session, slice_.id)
    for one in judged:
        session.add(
            Review(mask_id=one.id, reviewer_id=reviewer.id, verdict=verdict, comment=comment)
        )
        one.review_state = verdict
    session.flush()
    elect_label(session, slice_)
    if round_ is not None and verdict is ReviewState.REJECTED:
        ask_again(session, round_)
    record(
        session,
        "mask.review",
        reviewer,
        slice_.project_id,
        mask=mask_id,
        verdict=verdict.value,
        comment=comment,
    )
    return Submission(mask, False, retrain_if_due(session, project))
