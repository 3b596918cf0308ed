"""The chain over the audit trail: who changes or takes out an entry, and does not compute all that
comes after anew, breaks it. It has no key: only a copy that lies elsewhere proves more.

An entry is sealed some seconds after it was written, in an order of its own: transactions that run
side by side need not wait for each other to know what came before. What is not sealed yet is not
protected. Nor is the project of an entry, as that goes when the project is deleted.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.loop.audit import record
from app.store import Account, Event, Installation

_log = structlog.get_logger("sfumato.audit")
_START = "sfumato"
# What is left of an entry that was emptied, as what it told of is deleted: see ``traces``.
EMPTIED = "sha256"


def address_key(session: Session) -> bytes:
    """The key by which this installation hashes addresses; made when there is none."""
    return _installation(session).address_key


def known_address_key(session: Session) -> bytes | None:
    """The same, where it was made; whoever only asks writes nothing."""
    return session.scalar(select(Installation.address_key))


def _installation(session: Session) -> Installation:
    """The one row, locked until the transaction ends."""
    found = session.scalar(select(Installation).with_for_update())
    if found is None:
        found = Installation(id=1, address_key=secrets.token_bytes(32))
        session.add(found)
        session.flush()
    return found


def unsealed(session: Session) -> bool:
    """Whether any entry waits to be sealed."""
    return session.scalar(select(Event.id).where(Event.sealed.is_(None)).limit(1)) is not None


def seal(session: Session, most: int = 500) -> int:
    """Append entries that were written meanwhile to the chain; returns how many it were: none
    where its end is not what was sealed last.
    """
    installation = _installation(session)
    if wrong_end(session) is not None:
        return 0
    last = session.scalar(select(func.max(Event.sealed))) or 0
    before = _START
    if last:
        before = session.scalar(select(Event.chain).where(Event.sealed == last)) or _START
    waiting = session.scalars(
        select(Event).where(Event.sealed.is_(None)).order_by(Event.id).limit(most)
    ).all()
    rows = []
    for number, event in enumerate(waiting, start=last + 1):
        digest = _digest(event.detail)
        before = _link(before, event, number, digest)
        rows.append({"id": event.id, "sealed": number, "digest": digest, "chain": before})
    if rows:
        session.execute(update(Event), rows)
        installation.audit_sealed, installation.audit_chain = last + len(rows), before
        # A log that is kept elsewhere says so too.
        _log.info("audit sealed", entries=installation.audit_sealed, chain=before)
    return len(rows)


def wrong_end(session: Session) -> str | None:
    """What is wrong with the chain's end, in words; None where it is what was sealed last.

    It may go farther: servers of before do not keep where it ends.
    """
    kept = session.execute(select(Installation.audit_sealed, Installation.audit_chain)).first()
    if kept is None or not kept.audit_sealed:
        return None
    there = session.scalar(select(Event.chain).where(Event.sealed == kept.audit_sealed))
    if there == kept.audit_chain:
        return None
    last = session.scalar(select(func.max(Event.sealed))) or 0
    if last < kept.audit_sealed:
        gone = kept.audit_sealed - last
        return f"the audit trail lacks its last {gone} sealed entries, or their seals"
    return f"entry {kept.audit_sealed} of the audit trail's chain is not the one that was sealed"


def go_on(session: Session, by: Account | None) -> str | None:
    """Seal from now on what is there, though the chain's end is not what was sealed; returns what
    was wrong, which stands in the trail from now on.
    """
    wrong = wrong_end(session)
    if wrong is None:
        return None
    installation = _installation(session)
    last = session.scalar(select(func.max(Event.sealed))) or 0
    installation.audit_sealed = last
    installation.audit_chain = session.scalar(select(Event.chain).where(Event.sealed == last))
    record(session, "audit.go_on", by, wrong=wrong)
    return wrong


def missing_from(session: Session, exported: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What entries of an export (`sfumato audit export`) are not in the trail as they were.

    Whoever can write to the database can make a chain that is whole; not the one that was exported.
    """
    for entry in exported:
        if entry["sealed"] is None:
            # Not sealed yet when it was exported: what it says is all there is to compare.
            event = session.get(Event, entry["id"])
            there = event is not None and _says(event, entry)
        else:
            chain = session.scalar(select(Event.chain).where(Event.sealed == entry["sealed"]))
            there = chain == entry["chain"]
        if not there:
            yield (
                f"entry {entry['id']} of the export ({entry['at']}, {entry['action']}) is not in "
                "the audit trail as it was exported"
            )


def broken_links(session: Session) -> Iterator[str]:
    """What is wrong with the chain, in words; nothing where it is whole."""
    before, expected = _START, 1
    entries = session.scalars(
        select(Event)
        .where(Event.sealed.is_not(None))
        .order_by(Event.sealed)
        .execution_options(yield_per=500)
    )
    for event in entries:
        number = event.sealed or 0
        if number != expected:
            yield f"the audit trail lacks {number - expected} entries before entry {event.id}"
        elif event.chain != _link(before, event, number, event.digest or ""):
            yield f"entry {event.id} of the audit trail, or one before it, was changed"
        elif not _is_emptied(event.detail) and _digest(event.detail) != event.digest:
            yield f"what entry {event.id} of the audit trail says was changed"
        before, expected = event.chain or "", number + 1
    end = wrong_end(session)
    if end is not None:
        yield end


def _says(event: Event, entry: Mapping[str, Any]) -> bool:
    if (event.at.isoformat(), event.action) != (entry["at"], entry["action"]):
        return False
    return _is_emptied(event.detail) or event.detail == entry["detail"]


def _is_emptied(detail: dict[str, Any]) -> bool:
    """Whether only the digest of what it said is left."""
    return detail.keys() == {EMPTIED}


def _link(before: str, event: Event, number: int, digest: str) -> str:
    said = [before, number, event.id, event.at.isoformat(), event.account_id, event.action]
    return hashlib.sha256(_canonical([*said, event.address, digest])).hexdigest()


def _digest(detail: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(detail)).hexdigest()


def _canonical(what: Any) -> bytes:
    return json.dumps(what, sort_keys=True, separators=(",", ":")).encode()
