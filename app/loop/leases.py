"""Leases: an annotator's hold on a slice, for a while."""

from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from app.core.errors import LeaseLost, NotAllowed, NotFound
from app.loop.access import Reader, allow
from app.loop.audit import record
from app.loop.projects import lock_project
from app.loop.retraining import retrain_if_due
from app.store import Account, Job, Lease, LeaseOutcome, Project, QueryItem, Role, Round


def expire_leases(session: Session, now: datetime) -> None:
    """End the leases whose time is over, so that their slices can be handed out again."""
    session.execute(
        update(Lease)
        .where(Lease.ended_at.is_(None), Lease.expires_at <= now)
        .values(ended_at=now, outcome=LeaseOutcome.EXPIRED)
    )


def grant(
    session: Session, item: QueryItem, account: Account, now: datetime, ttl: timedelta
) -> Lease:
    """A new lease on an item that has a seat free; the caller holds the round's lock."""
    taken = set(
        session.scalars(
            select(Lease.seat).where(Lease.slice_id == item.slice_id, Lease.ended_at.is_(None))
        )
    )
    lease = Lease(
        round_id=item.round_id,
        slice_id=item.slice_id,
        account_id=account.id,
        seat=next(seat for seat in count(1) if seat not in taken),
        created_at=now,
        expires_at=now + ttl,
    )
    session.add(lease)
    return lease


def held_lease(session: Session, slice_id: int, account: Account, now: datetime) -> Lease | None:
    """The account's live lease on a slice, if it has one."""
    return session.scalar(
        select(Lease).where(
            Lease.slice_id == slice_id,
            Lease.account_id == account.id,
            Lease.ended_at.is_(None),
            Lease.expires_at > now,
        )
    )


def was_handed(session: Session, slice_id: int, account: Account) -> bool:
    """Whether the account holds a lease on a slice, or ever did."""
    of_slice = exists().where(Lease.slice_id == slice_id, Lease.account_id == account.id)
    return bool(session.scalar(select(of_slice)))


def renewal_due(
    session: Session, slice_id: int, account: Account, now: datetime, ttl: timedelta
) -> bool:
    """Whether ``touch`` is worth a write: a lease is held, and was not renewed just now."""
    lease = held_lease(session, slice_id, account, now)
    return lease is not None and lease.expires_at < now + 0.95 * ttl


def touch(session: Session, slice_id: int, account: Account, now: datetime, ttl: timedelta) -> None:
    """Renew the account's lease on a slice, if it has one: any activity keeps it alive."""
    lease = held_lease(session, slice_id, account, now)
    if lease is not None:
        lease.expires_at = now + ttl


def renew(session: Session, reader: Reader, lease_id: int, now: datetime, ttl: timedelta) -> Lease:
    """Put a lease's end off. Raises ``NotFound``, ``NotAllowed``, ``LeaseLost``."""
    _project_of(session, reader, lease_id)
    lease = _own_live_lease(session, lease_id, reader.account, now)
    lease.expires_at = now + ttl
    return lease


def skip(session: Session, reader: Reader, lease_id: int, reason: str, now: datetime) -> Job | None:
    """Give a slice back. With a reason it is skipped: it goes to the end of the batch, and to
    others. Without one it is only released, as by somebody who goes home, and keeps its place.

    Returns the retraining that a skip made due, if it did. Raises as ``renew``.
    """
    lock_project(session, _project_of(session, reader, lease_id))
    lease = _own_live_lease(session, lease_id, reader.account, now)
    lease.ended_at = now
    lease.outcome = LeaseOutcome.SKIPPED if reason else LeaseOutcome.RELEASED
    lease.reason = reason
    if not reason:
        return None
    round_ = session.get_one(Round, lease.round_id)
    record(
        session,
        "slice.skip",
        reader.account,
        round_.project_id,
        slice=lease.slice_id,
        reason=reason,
    )
    session.flush()
    return retrain_if_due(session, session.get_one(Project, round_.project_id))


def _project_of(session: Session, reader: Reader, lease_id: int) -> int:
    found = session.scalar(
        select(Round.project_id).join(Lease, Lease.round_id == Round.id).where(Lease.id == lease_id)
    )
    missing = f"there is no lease {lease_id}"
    if found is None:
        raise NotFound(missing)
    allow(session, reader, found, Role.ANNOTATOR, missing)
    return found


def _own_live_lease(session: Session, lease_id: int, account: Account, now: datetime) -> Lease:
    lease = session.get(Lease, lease_id)
    if lease is None:
        raise NotFound(f"there is no lease {lease_id}")
    if lease.account_id != account.id:
        raise NotAllowed(f"lease {lease_id} belongs to another annotator")
    if lease.ended_at is not None or lease.expires_at <= now:
        how = lease.outcome or LeaseOutcome.EXPIRED
        raise LeaseLost(
            f"lease {lease_id} has ended ({how}): ask for the next slices; "
            "a mask that is drawn already can still be posted and is kept"
        )
    return lease
