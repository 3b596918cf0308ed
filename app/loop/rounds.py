"""Rounds: what the batch is, how far it has come, and when it is time to retrain."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from sqlalchemy import ColumnElement, Select, exists, func, select, update
from sqlalchemy.orm import Session

from app.core.project_settings import QuerySettings, query_settings
from app.core.splits import Split
from app.core.streams import Stream
from app.core.variety import Appearance, k_centre_of_appearances
from app.loop import jobs
from app.loop.projects import lock_project
from app.loop.readings import answered, stands
from app.store import (
    Job,
    Label,
    Lease,
    LeaseOutcome,
    Mask,
    ModelVersion,
    Project,
    QueryItem,
    ReviewState,
    Round,
    RoundState,
    Slice,
    utc_now,
)


def unlabelled_pool(project: Project) -> Select[int]:
    """SQL: the ids of the pool's slices that somebody may still be asked for."""
    return (
        select(Slice.id)
        .where(
            Slice.project_id == project.id,
            Slice.split == Split.POOL,
            Slice.set_aside.is_(False),
            ~answered(Slice.id.expression, query_settings(project).readers_per_slice),
        )
        .order_by(Slice.id)
    )


def open_round(session: Session, project: Project) -> Round | None:
    """The project's open round; the project is locked until the transaction ends."""
    lock_project(session, project.id)
    return session.scalar(
        select(Round).where(Round.project_id == project.id, Round.state == RoundState.OPEN)
    )


def ensure_round(session: Session, project: Project) -> Round | None:
    """The open round; before the first model, a draw from the pool.

    While there is no model the draw is filled up as slices arrive. None when the pool is empty
    or used up.
    """
    round_ = open_round(session, project)
    if round_ is not None and round_.model_id is not None:
        return round_
    if round_ is None and _has_model(session, project):
        return None
    return _fill_initial(session, project, round_)


def _has_model(session: Session, project: Project) -> bool:
    return bool(session.scalar(select(exists().where(ModelVersion.project_id == project.id))))


def _fill_initial(session: Session, project: Project, round_: Round | None) -> Round | None:
    settings = query_settings(project)
    wanted = settings.initial_size or settings.size
    taken = 0 if round_ is None else _count(session, round_)
    if taken >= wanted:
        return round_
    pool = list(session.scalars(unlabelled_pool(project)))
    if round_ is not None:
        items = select(QueryItem.slice_id).where(QueryItem.round_id == round_.id)
        pool = sorted(set(pool) - set(session.scalars(items)))
    if not pool:
        return round_
    if round_ is None:
        round_ = start_round(session, project, None, settings, settings.seed, settings.initial)
    # Seeded by what is taken already, so that a draw that grows is as reproducible as one made
    # at once.
    rng = np.random.default_rng([settings.seed, taken])
    if settings.initial == "k-centre":
        draw = _varied(session, project, round_, pool, wanted - taken, rng)
    else:
        draw = rng.permutation(np.array(pool))[: wanted - taken].tolist()
    add_items(session, round_, [(slice_id, Stream.INITIAL, None) for slice_id in draw])
    return round_


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


def _varied(
    session: Session,
    project: Project,
    round_: Round,
    pool: list[int],
    k: int,
    rng: np.random.Generator,
) -> list[int]:
    """K of the pool, as unlike each other and what the round holds already as can be."""
    items = select(QueryItem.slice_id).where(QueryItem.round_id == round_.id)
    taken = _appearances(session, Slice.id.in_(items))
    looks = _appearances(session, Slice.id.in_(unlabelled_pool(project)))
    ids = [i for i in pool if i in looks]
    order: list[int] = []
    if ids:
        before = np.stack(list(taken.values())) if taken else None
        order = k_centre_of_appearances(np.stack([looks[i] for i in ids]), k, rng, before)
    # Slices of before there were thumbnails fill up what is missing.
    rest = rng.permutation(np.array([i for i in pool if i not in looks], dtype=np.int64))
    return [*(ids[i] for i in order), *rest.tolist()][:k]


def _appearances(session: Session, which: ColumnElement[bool]) -> dict[int, Appearance]:
    query = select(Slice.id, Slice.appearance).where(which, Slice.appearance.is_not(None))
    return {
        slice_id: np.frombuffer(look, dtype=np.uint8)
        for slice_id, look in session.execute(query.order_by(Slice.id))
        if look is not None
    }


def start_round(
    session: Session,
    project: Project,
    model_id: int | None,
    settings: QuerySettings,
    seed: int,
    strategy: str | None = None,
) -> Round:
    """Close the open round and open the next, still without items."""
    close_round(session, open_round(session, project))
    highest = session.scalar(select(func.max(Round.number)).where(Round.project_id == project.id))
    round_ = Round(
        project_id=project.id,
        number=(highest or 0) + 1,
        strategy=strategy or settings.strategy,
        settings={**settings.model_dump(), "seed": seed},
        model_id=model_id,
    )
    session.add(round_)
    session.flush()
    return round_


def ask_again(session: Session, round_: Round) -> None:
    """Put what was rejected, and has no other answer, at the end of the round's batch."""
    project = session.get_one(Project, round_.project_id)
    in_round = select(QueryItem.slice_id).where(QueryItem.round_id == round_.id)
    rejected = exists().where(Mask.slice_id == Slice.id, Mask.review_state == ReviewState.REJECTED)
    returned = session.scalars(
        unlabelled_pool(project).where(rejected, Slice.id.not_in(in_round))
    ).all()
    add_items(session, round_, [(slice_id, Stream.RETURNED, None) for slice_id in returned])


def close_round(session: Session, round_: Round | None) -> None:
    """End a round. What all of its annotators skipped is set aside, not asked for again."""
    if round_ is None:
        return
    skipped = batch_state(session, round_).skipped_by_all
    session.execute(update(Slice).where(Slice.id.in_(skipped)).values(set_aside=True))
    round_.state = RoundState.CLOSED
    round_.closed_at = utc_now()
    session.flush()


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
    size = _count(session, round_)
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
    # Whoever only let a lease run out or gave it back has no part in the round any more.
    took_part = Lease.ended_at.is_(None) | Lease.outcome.in_(
        (LeaseOutcome.SUBMITTED, LeaseOutcome.SKIPPED)
    )
    participants = set(
        session.scalars(
            select(Lease.account_id).where(Lease.round_id == round_.id, took_part).distinct()
        )
    )
    done: dict[int, set[int]] = {}
    skips = select(Lease.slice_id, Lease.account_id).where(
        Lease.round_id == round_.id, Lease.outcome == LeaseOutcome.SKIPPED
    )
    readings = session.execute(
        select(Mask.slice_id, Mask.author_id)
        .join(QueryItem, QueryItem.slice_id == Mask.slice_id)
        .where(of_round, stands())
    ).all()
    for one, account_id in chain(session.execute(skips), readings):
        done.setdefault(one, set()).add(account_id)
    read = {one for one, _ in readings}
    nobody_left = [s for s in unanswered if participants and done.get(s, set()) >= participants]
    return BatchState(
        size=size,
        labelled=labelled or 0,
        open=len(unanswered),
        settled=len(nobody_left) == len(unanswered),
        skipped_by_all=[s for s in nobody_left if s not in read],
    )


def retrain_if_due(session: Session, round_: Round) -> Job | None:
    """Ask for a retraining when enough of the batch is labelled. Returns the job, if due."""
    if round_.state is not RoundState.OPEN:
        return None
    project = session.get_one(Project, round_.project_id)
    if round_.model_id is None:
        # Slices may still be arriving: the first batch is whole when it is as large as asked
        # for, not when somebody was quicker than the import.
        _fill_initial(session, project, round_)
    state = batch_state(session, round_)
    settings = query_settings(project)
    if state.labelled == 0 or state.size == 0:
        return None
    enough = state.labelled >= min(settings.retrain_after or state.size, state.size)
    unreviewed = settings.review and state.labelled + state.open < state.size
    if not enough and not (state.settled and not unreviewed):
        return None
    return jobs.request_retrain(session, project, by=None)


def _count(session: Session, round_: Round) -> int:
    query = select(func.count()).select_from(QueryItem).where(QueryItem.round_id == round_.id)
    return session.scalar(query) or 0
