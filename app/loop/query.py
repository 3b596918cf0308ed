"""Handing out the batch: the best slices first, each to one annotator at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, contains_eager

from app.errors import InvalidInput
from app.loop.leases import expire_leases, grant
from app.loop.rounds import answered, batch_state, ensure_round
from app.store import (
    ACTIVE_STATES,
    Account,
    Job,
    JobState,
    Lease,
    LeaseOutcome,
    Project,
    QueryItem,
    Round,
    Slice,
    Split,
    Suggestion,
)

LARGEST_BATCH = 50


@dataclass(frozen=True)
class HandedOut:
    """One slice in an annotator's hands."""

    item: QueryItem
    lease: Lease
    suggested: bool


@dataclass(frozen=True)
class Batch:
    """What ``next_batch`` answers; ``message`` says why there is nothing, and what comes next."""

    round: Round | None
    items: list[HandedOut]
    remaining: int
    message: str | None


def next_batch(
    session: Session,
    project: Project,
    account: Account,
    size: int,
    now: datetime,
    ttl: timedelta,
) -> Batch:
    """Lease the next slices to an annotator, in rank order.

    What the annotator holds already comes first, renewed: asking again after a lost reply or a
    closed laptop gives the same slices, not more. Raises ``InvalidInput`` for a size outside
    1 to 50.
    """
    if not 1 <= size <= LARGEST_BATCH:
        raise InvalidInput(f"size is {size}: it must be between 1 and {LARGEST_BATCH}")
    round_ = ensure_round(session, project)
    if round_ is None:
        return Batch(None, [], 0, _why_no_round(session, project))
    expire_leases(session, now)
    held = _held(session, round_, account, size)
    for lease in held.values():
        lease.expires_at = now + ttl
    free = _free(session, round_, account, size - len(held)) if len(held) < size else []
    leases = {**held, **{i.id: grant(session, i, account, now, ttl) for i in free}}
    session.flush()
    items = _described(session, round_, leases)
    state = batch_state(session, round_)
    message = None if items else _why_nothing(session, round_, state.open)
    return Batch(round_, items, state.open, message)


def _held(session: Session, round_: Round, account: Account, size: int) -> dict[int, Lease]:
    rows = session.execute(
        select(QueryItem.id, Lease)
        .join(
            Lease,
            (Lease.slice_id == QueryItem.slice_id) & (Lease.round_id == round_.id),
        )
        .where(
            QueryItem.round_id == round_.id,
            Lease.account_id == account.id,
            Lease.ended_at.is_(None),
        )
        .order_by(QueryItem.rank)
        .limit(size)
    )
    return {item_id: lease for item_id, lease in rows}


def _free(session: Session, round_: Round, account: Account, size: int) -> list[QueryItem]:
    skipped = (Lease.slice_id == QueryItem.slice_id) & (Lease.round_id == round_.id)
    skipped &= Lease.outcome == LeaseOutcome.SKIPPED
    skips = select(func.count()).where(skipped).scalar_subquery()
    return list(
        session.scalars(
            select(QueryItem)
            .where(
                QueryItem.round_id == round_.id,
                ~answered(QueryItem.slice_id.expression),
                ~exists().where(Lease.slice_id == QueryItem.slice_id, Lease.ended_at.is_(None)),
                ~exists().where(skipped, Lease.account_id == account.id),
            )
            .order_by(skips, QueryItem.rank)
            .limit(size)
        )
    )


def _described(session: Session, round_: Round, leases: dict[int, Lease]) -> list[HandedOut]:
    suggested = exists().where(
        Suggestion.slice_id == QueryItem.slice_id,
        Suggestion.model_id == round_.model_id,
    )
    rows = session.execute(
        select(QueryItem, suggested)
        .join(QueryItem.slice)
        .join(Slice.case)
        .options(contains_eager(QueryItem.slice).contains_eager(Slice.case))
        .where(QueryItem.id.in_(leases))
    )
    by_id = {item.id: HandedOut(item, leases[item.id], has) for item, has in rows}
    return [by_id[item_id] for item_id in leases]


def _why_no_round(session: Session, project: Project) -> str:
    in_pool = select(exists().where(Slice.project_id == project.id, Slice.split == Split.POOL))
    if not session.scalar(in_pool):
        return "the pool holds no slices yet: an admin imports or posts them"
    return "every slice of the pool is answered: there is nothing left to annotate"


def _why_nothing(session: Session, round_: Round, remaining: int) -> str:
    job = session.scalar(
        select(Job)
        .where(Job.project_id == round_.project_id, Job.parent_id.is_(None))
        .order_by(Job.id.desc())
        .limit(1)
    )
    next_round = f"round {round_.number + 1}"
    if job is not None and job.state in ACTIVE_STATES:
        return (
            f"the batch of round {round_.number} is done and job {job.id} is retraining "
            f"({job.step}): {next_round} opens when it has ended"
        )
    leased = session.scalar(
        select(func.count())
        .select_from(Lease)
        .where(Lease.round_id == round_.id, Lease.ended_at.is_(None))
    )
    if leased:
        return (
            f"the {remaining} slices left in round {round_.number} are with other annotators "
            f"or were skipped by you: what they skip or leave comes back, then {next_round} opens"
        )
    if remaining:
        return (
            f"you skipped the {remaining} slices left in round {round_.number}: others are asked "
            f"for them, or an admin starts the retraining that opens {next_round}"
        )
    if job is not None and job.state is JobState.FAILED:
        return (
            f"the batch of round {round_.number} is done, but job {job.id} failed: "
            f"an admin looks at GET /jobs/{job.id} and starts a retraining again"
        )
    return (
        f"the batch of round {round_.number} is answered: {next_round} opens after the review "
        "and the retraining that an admin or the project's policy starts"
    )
