"""Handing out the batch: the best slices first, each to one annotator at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, exists, func, select
from sqlalchemy.orm import Session, contains_eager

from app.core.errors import InvalidInput
from app.core.project_settings import query_settings
from app.core.splits import Split
from app.loop import jobs
from app.loop.batches import anything_to_ask, batch_state
from app.loop.failures import what_next
from app.loop.first_batch import ensure_round
from app.loop.leases import expire_leases, grant
from app.loop.readings import answered, count_of, is_valid
from app.loop.retraining import retrain_if_due
from app.loop.slice_views import SliceView, view_of
from app.store import (
    ACTIVE_STATES,
    Account,
    Job,
    JobState,
    Lease,
    LeaseOutcome,
    Mask,
    Project,
    QueryItem,
    Review,
    ReviewState,
    Round,
    Slice,
    Suggestion,
)

LARGEST_BATCH = 50


@dataclass(frozen=True)
class Returned:
    """The annotator's own mask that a reviewer rejected, and why."""

    mask_id: int
    comment: str


@dataclass(frozen=True)
class HandedOut:
    """One slice in an annotator's hands; ``returned`` when it is to be drawn better.

    ``suggestion_model``: the model that has a suggestion for it.
    """

    slice: SliceView
    rank: int
    stream: str
    score: float | None
    lease: Lease
    suggestion_model: int | None
    returned: Returned | None


@dataclass(frozen=True)
class Batch:
    """What ``next_batch`` answers; ``message`` says why there is nothing, and what comes next.

    ``job``: the retraining that asking has made due, as where a lease ran out after the end.
    """

    round: Round | None
    items: list[HandedOut]
    remaining: int
    message: str | None
    job: Job | None = None


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
        due = retrain_if_due(session, project)
        return Batch(None, [], 0, _why_no_round(session, project), due)
    expire_leases(session, now)
    held = _held(session, round_, account, size)
    for lease in held.values():
        lease.expires_at = now + ttl
    readers = query_settings(project).readers_per_slice
    free = _free(session, round_, account, readers, size - len(held)) if len(held) < size else []
    leases = {**held, **{i.id: grant(session, i, account, now, ttl) for i in free}}
    session.flush()
    items = _described(session, project, round_, account, leases)
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


def _free(
    session: Session, round_: Round, account: Account, readers: int, size: int
) -> list[QueryItem]:
    """What may be leased to the account: what it shall draw again first, then by rank; what others
    skipped comes later, and what waits for another's second try last.
    """
    slice_id = QueryItem.slice_id.expression
    skipped = (Lease.slice_id == slice_id) & (Lease.round_id == round_.id)
    skipped &= Lease.outcome == LeaseOutcome.SKIPPED
    skips = select(func.count()).where(skipped).scalar_subquery()
    live = (Lease.slice_id == slice_id) & Lease.ended_at.is_(None)
    held = select(func.count()).where(live).scalar_subquery()
    theirs = (Mask.slice_id == slice_id) & (Mask.author_id == account.id)
    rejected = (Mask.slice_id == slice_id) & (Mask.review_state == ReviewState.REJECTED)
    rejected &= Mask.unasked.is_(False)
    turn = case(
        (exists().where(theirs, rejected), 0),
        (exists().where(rejected), 2),
        else_=1,
    )
    return list(
        session.scalars(
            select(QueryItem)
            .where(
                QueryItem.round_id == round_.id,
                ~answered(slice_id, readers),
                count_of(slice_id) + held < readers,
                ~exists().where(live, Lease.account_id == account.id),
                ~exists().where(theirs, is_valid()),
                ~exists().where(skipped, Lease.account_id == account.id),
            )
            .order_by(turn, skips, QueryItem.rank)
            .limit(size)
        )
    )


def _described(
    session: Session, project: Project, round_: Round, account: Account, leases: dict[int, Lease]
) -> list[HandedOut]:
    suggested = exists().where(
        Suggestion.slice_id == QueryItem.slice_id,
        Suggestion.model_id == round_.model_id,
    )
    rows = session.execute(
        select(QueryItem, suggested)
        .join(QueryItem.slice)
        .join(Slice.case)
        .options(
            contains_eager(QueryItem.slice).contains_eager(Slice.case),
            contains_eager(QueryItem.slice).selectinload(Slice.images),
        )
        .where(QueryItem.id.in_(leases))
    ).all()
    returned = _returned(session, account, [item.slice_id for item, _ in rows])
    by_id = {
        item.id: HandedOut(
            slice=view_of(item.slice, project.channels),
            rank=item.rank,
            stream=item.stream,
            score=item.score,
            lease=leases[item.id],
            suggestion_model=round_.model_id if has else None,
            returned=returned.get(item.slice_id),
        )
        for item, has in rows
    }
    return [by_id[item_id] for item_id in leases]


def _returned(session: Session, account: Account, slice_ids: list[int]) -> dict[int, Returned]:
    rows = session.execute(
        select(Mask.slice_id, Mask.id, Review.comment)
        .join(Review, Review.mask_id == Mask.id)
        .where(
            Mask.slice_id.in_(slice_ids),
            Mask.author_id == account.id,
            Mask.review_state == ReviewState.REJECTED,
            Review.verdict == ReviewState.REJECTED,
        )
        .order_by(Review.id)
    )
    return {slice_id: Returned(mask_id, comment) for slice_id, mask_id, comment in rows}


def _why_no_round(session: Session, project: Project) -> str:
    of_pool = (Slice.project_id == project.id, Slice.split == Split.POOL)
    if not session.scalar(select(exists().where(*of_pool))):
        return "the pool holds no slices yet: an admin imports or posts them"
    if anything_to_ask(session, project):
        return _why_not_yet(session, project)
    if session.scalar(select(exists().where(*of_pool, Slice.complete.is_(False)))):
        return (
            "slices of the pool wait for the rest of their channels "
            f"(of {', '.join(project.channels)}): an admin posts or imports them"
        )
    return "every slice of the pool is answered: there is nothing left to annotate"


def _why_not_yet(session: Session, project: Project) -> str:
    """The pool was used up, and there is something to ask for again."""
    job = jobs.last_job(session, project.id)
    said = "there are slices to ask for since the last batch was answered"
    if job is not None and job.state in ACTIVE_STATES:
        return f"{said}: {what_next(session, job)}, then they are asked for"
    if not jobs.has_label(session, project):
        return (
            f"{said}, but no mask counts as a label yet: a reviewer accepts one, then a "
            "retraining starts and they are asked for"
        )
    if job is not None and job.state is JobState.FAILED:
        return f"{said}, but {what_next(session, job)}"
    return f"{said}: an admin starts a retraining, then they are asked for"


def _why_nothing(session: Session, round_: Round, remaining: int) -> str:
    job = jobs.last_job(session, round_.project_id)
    batch, next_round = f"the batch of round {round_.number}", f"round {round_.number + 1}"
    if job is not None and job.state in ACTIVE_STATES:
        return (
            f"{batch} is done and {what_next(session, job)}: {next_round} opens when it has ended"
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
            f"the {remaining} slices left in round {round_.number} wait for other annotators: you "
            f"have drawn or skipped them. Then, or when an admin starts a retraining, {next_round} "
            "opens"
        )
    if job is not None and job.state is JobState.FAILED:
        return f"{batch} is done, but {what_next(session, job)}"
    return (
        f"{batch} is answered: {next_round} opens after the review and the retraining that an "
        "admin or the project's policy starts"
    )
