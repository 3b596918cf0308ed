"""A round's batch: what may be asked for, what is asked for, and how far that has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session

from app.core.project_settings import query_settings
from app.core.splits import Split
from app.core.streams import Stream
from app.loop.access import draws_in
from app.loop.readings import answered, is_valid
from app.store import (
    Account,
    Label,
    Lease,
    LeaseOutcome,
    Mask,
    Project,
    QueryItem,
    ReviewState,
    Round,
    Slice,
    database_now,
)


def unlabelled_pool(project: Project) -> Select[int]:
    """SQL: the ids of the pool's slices that somebody may still be asked for."""
    return (
        select(Slice.id)
        .where(
            Slice.project_id == project.id,
            Slice.split == Split.POOL,
            Slice.complete.is_(True),
            Slice.set_aside.is_(False),
            ~answered(Slice.id.expression, query_settings(project).readers_per_slice),
        )
        .order_by(Slice.id)
    )


def selectable(session: Session, project: Project) -> list[int]:
    """The slices that the next batch may hold: unanswered, and in nobody's hands."""
    return list(session.scalars(unlabelled_pool(project).where(~_leased(session))))


def anything_selectable(session: Session, project: Project) -> bool:
    """Whether the next batch could hold anything."""
    query = unlabelled_pool(project).where(~_leased(session)).limit(1)
    return session.scalar(query) is not None


def _leased(session: Session) -> ColumnElement[bool]:
    now = database_now(session)
    return exists().where(
        Lease.slice_id == Slice.id, Lease.ended_at.is_(None), Lease.expires_at > now
    )


def anything_to_ask(session: Session, project: Project) -> bool:
    """Whether anybody may still be asked for anything: the one answer to "are we done?"."""
    return session.scalar(unlabelled_pool(project).limit(1)) is not None


def add_items(
    session: Session, round_: Round, asked: Sequence[tuple[int, str, float | None]]
) -> None:
    """Put slices at the end of a round's batch: id, stream and score of each."""
    of_round = QueryItem.round_id == round_.id
    highest = session.scalar(select(func.max(QueryItem.rank)).where(of_round))
    session.add_all(
        QueryItem(round_id=round_.id, slice_id=slice_id, rank=rank, stream=stream, score=score)
        for rank, (slice_id, stream, score) in enumerate(asked, start=(highest or 0) + 1)
    )
    session.flush()


def ask_again(session: Session, round_: Round) -> None:
    """Put what was rejected, and has no other answer, at the end of the round's batch."""
    project = session.get_one(Project, round_.project_id)
    in_round = select(QueryItem.slice_id).where(QueryItem.round_id == round_.id)
    rejected = exists().where(
        Mask.slice_id == Slice.id,
        Mask.review_state == ReviewState.REJECTED,
        # What nobody asked for does not say what is asked for next.
        Mask.unasked.is_(False),
    )
    returned = session.scalars(
        unlabelled_pool(project).where(rejected, Slice.id.not_in(in_round))
    ).all()
    add_items(session, round_, [(slice_id, Stream.RETURNED, None) for slice_id in returned])


def size_of(session: Session, round_: Round) -> int:
    """How many slices a round's batch has."""
    query = select(func.count()).select_from(QueryItem).where(QueryItem.round_id == round_.id)
    return session.scalar(query) or 0


@dataclass(frozen=True)
class BatchState:
    """How far a round's batch has come, in slices."""

    size: int
    labelled: int
    open: int
    # Nobody is left to ask: of each slice that is open, everybody has drawn or skipped it.
    settled: bool
    skipped_by_all: list[int]


def batch_state(session: Session, round_: Round) -> BatchState:
    """Count a round's batch: in all, with a label, still to be read, and of these the slices
    that every annotator who had a part in the round has skipped.
    """
    of_round = QueryItem.round_id == round_.id
    labelled = session.scalar(
        select(func.count())
        .select_from(QueryItem)
        .join(Label, Label.slice_id == QueryItem.slice_id)
        .where(of_round)
    )
    readers = query_settings(session.get_one(Project, round_.project_id)).readers_per_slice
    slice_id = QueryItem.slice_id.expression
    unanswered = session.scalars(
        select(QueryItem.slice_id).where(of_round, ~answered(slice_id, readers))
    ).all()
    participants = _participants(session, round_)
    done: dict[int, set[int]] = {}
    skips = select(Lease.slice_id, Lease.account_id).where(
        Lease.round_id == round_.id, Lease.outcome == LeaseOutcome.SKIPPED
    )
    readings = session.execute(
        select(Mask.slice_id, Mask.author_id)
        .join(QueryItem, QueryItem.slice_id == Mask.slice_id)
        .where(of_round, is_valid())
    ).all()
    for one, account_id in chain(session.execute(skips), readings):
        done.setdefault(one, set()).add(account_id)
    read = {one for one, _ in readings}
    nobody_left = [s for s in unanswered if participants and done.get(s, set()) >= participants]
    return BatchState(
        size=size_of(session, round_),
        labelled=labelled or 0,
        open=len(unanswered),
        settled=len(nobody_left) == len(unanswered),
        skipped_by_all=[s for s in nobody_left if s not in read],
    )


def _participants(session: Session, round_: Round) -> set[int]:
    """Who had a part in a round and can still draw; whoever only let a lease run out or gave it
    back has none.
    """
    took_part = Lease.ended_at.is_(None) | Lease.outcome.in_(
        (LeaseOutcome.SUBMITTED, LeaseOutcome.SKIPPED)
    )
    of_round = select(Lease.account_id).where(Lease.round_id == round_.id, took_part)
    query = select(Account.id).where(Account.id.in_(of_round), draws_in(round_.project_id))
    return set(session.scalars(query))
