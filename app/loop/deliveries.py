"""What webhooks are told: written with what happened, claimed by a server, tried until it is over.

Times are the database's (``store.database_now``), so that servers need not agree on theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from app.loop.audit import record
from app.loop.paging import Page, paginate
from app.store import Delivery, DeliveryState, Hook, HookEvent, Project, utc_now

TEST = "test"
# After each failed try; after the last, a delivery is given up.
WAITS = tuple(timedelta(minutes=m) for m in (1, 5, 30, 120, 360, 1440))
# A hook to which nothing came through for so long is disabled with the next that is given up.
_FAILS_FOR = timedelta(days=1)
# Of a log: so many rows go in one transaction.
_FORGOTTEN_AT_ONCE = 1000


def announce(session: Session, project_id: int, event: HookEvent, **facts: Any) -> None:
    """Tell the project's hooks what this transaction did: sent once it is committed.

    ``facts``: ids and numbers. Receivers may be anybody's: no names of cases or people, no text
    that may quote them.
    """
    enabled = select(Hook).where(Hook.project_id == project_id, Hook.enabled.is_(True))
    for hook in session.scalars(enabled):
        if event in hook.events:
            add_delivery(session, hook, event, facts)


def add_delivery(session: Session, hook: Hook, event: str, facts: dict[str, Any]) -> Delivery:
    """Something for one hook."""
    project = session.get_one(Project, hook.project_id)
    who = {"project": project.name, "project_id": project.id}
    told = {"event": event, **who, "at": utc_now().isoformat(), **facts}
    delivery = Delivery(hook_id=hook.id, project_id=project.id, event=event, payload=told)
    session.add(delivery)
    return delivery


@dataclass(frozen=True)
class DeliveryClaim:
    """A server's hold on a delivery, valid while the row shows the same attempt."""

    id: int
    attempt: int
    url: str
    secret: str
    event: str
    payload: dict[str, Any]


def due(session: Session, now: datetime, most: int) -> list[int]:
    """Deliveries to be tried now, the oldest of each hook: one that hangs keeps no other waiting
    twice.
    """
    query = (
        select(func.min(Delivery.id))
        .join(Hook)
        .where(
            Delivery.state == DeliveryState.WAITING,
            Delivery.due_at.is_(None) | (Delivery.due_at <= now),
            Hook.enabled.is_(True),
        )
        .group_by(Delivery.hook_id)
        .order_by(func.min(Delivery.id))
    )
    return list(session.scalars(query.limit(most)))


def claim(session: Session, which: int) -> DeliveryClaim | None:
    """Take a delivery that waits; None when another server did, or it went with its hook."""
    taken = session.scalar(
        update(Delivery)
        .where(Delivery.id == which, Delivery.state == DeliveryState.WAITING)
        .values(state=DeliveryState.SENDING, attempt=Delivery.attempt + 1)
        .returning(Delivery.id)
    )
    if taken is None:
        return None
    found = session.get_one(Delivery, which, populate_existing=True)
    hook = found.hook
    return DeliveryClaim(found.id, found.attempt, hook.url, hook.secret, found.event, found.payload)


def _ours(which: int, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return (
        Delivery.id == which,
        Delivery.attempt == attempt,
        Delivery.state == DeliveryState.SENDING,
    )


def end(
    session: Session,
    held: DeliveryClaim,
    now: datetime,
    status: int | None,
    error: str | None,
) -> None:
    """Note how a try ended, if it is still ours; ``error``: why it has to be tried again."""
    found = session.scalar(select(Delivery).where(*_ours(held.id, held.attempt)).with_for_update())
    if found is None:
        return
    found.status, found.error = status, error
    if error is None:
        found.state, found.finished_at = DeliveryState.DELIVERED, now
        found.hook.failing_since = None
    else:
        _failed(session, found, now)


def put_back(session: Session, held: DeliveryClaim) -> None:
    """The server ends before the try did: somebody tries again at once."""
    ours = update(Delivery).where(*_ours(held.id, held.attempt))
    back = Delivery.handed_back + 1
    session.execute(ours.values(state=DeliveryState.WAITING, due_at=None, handed_back=back))


Attempts = Mapping[int, int]


def being_sent(session: Session) -> Attempts:
    """What servers are at: the attempt by delivery."""
    sending = Delivery.state == DeliveryState.SENDING
    query = select(Delivery.id, Delivery.attempt).where(sending)
    return {which: attempt for which, attempt in session.execute(query)}


def take_back(session: Session, lost: Attempts, now: datetime) -> None:
    """What is being sent for longer than a try can take is of a server that ended."""
    for which, attempt in lost.items():
        found = session.scalar(select(Delivery).where(*_ours(which, attempt)).with_for_update())
        if found is not None:
            found.error = "the server that sent it ended before the receiver had answered"
            _failed(session, found, now)


def _failed(session: Session, found: Delivery, now: datetime) -> None:
    hook = found.hook
    hook.failing_since = hook.failing_since or now
    tries = found.attempt - found.handed_back
    if tries <= len(WAITS) and hook.enabled:
        found.state, found.due_at = DeliveryState.WAITING, now + WAITS[tries - 1]
        return
    found.state, found.finished_at = DeliveryState.GIVEN_UP, now
    if hook.enabled and now - hook.failing_since >= _FAILS_FOR:
        since = f"{hook.failing_since:%Y-%m-%d %H:%M} UTC"
        hook.note = f"disabled, as nothing came through since {since}: {found.error}"
        disable(session, hook, now)
        record(session, "hook.disabled", None, hook.project_id, hook=hook.id, since=since)


def disable(session: Session, hook: Hook, now: datetime) -> None:
    """Send it nothing more: what waits for it is given up."""
    hook.enabled = False
    waiting = Delivery.hook_id == hook.id, Delivery.state == DeliveryState.WAITING
    session.execute(
        update(Delivery)
        .where(*waiting)
        .values(state=DeliveryState.GIVEN_UP, finished_at=now, error="the hook was disabled")
    )


def old_ones(session: Session, before: datetime) -> Sequence[int]:
    """Some of the log of before then, by their numbers."""
    ended = func.coalesce(Delivery.finished_at, Delivery.created_at) < before
    return session.scalars(select(Delivery.id).where(ended).limit(_FORGOTTEN_AT_ONCE)).all()


def forget(session: Session, which: Sequence[int]) -> None:
    """Remove these from the log."""
    session.execute(delete(Delivery).where(Delivery.id.in_(which)))


def list_deliveries(session: Session, hook: Hook, cursor: int | None, limit: int) -> Page[Delivery]:
    """A page of what was, or is to be, sent to a hook, newest first."""
    query = select(Delivery).where(Delivery.hook_id == hook.id)
    return paginate(session, query, Delivery.id, cursor, limit, lambda one: one, newest=True)
