"""Where pixels, masks and weights lie: one port, by the sha256 of the bytes.

Nothing else reads or writes them, so they can be moved elsewhere by one class. In the database by
default: kept in the transaction that refers to them, and saved with one backup.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Protocol, cast

from sqlalchemy import LargeBinary, String, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.core.blob import Blob
from app.store.base import Base

_KEY = "blobs"
_AT_ONCE = 500
_PORTION_BYTES = 8 << 20
# Of some names, those that rows refer to.
InUse = Callable[[Collection[str]], set[str]]


class BlobsGone(LookupError):
    """Bytes that are not there: what referred to them was deleted meanwhile, or they are lost."""


class BlobStore(Protocol):
    """A place for bytes. What is put is there once the session's transaction is committed."""

    def put(self, session: Session, blobs: Iterable[Blob]) -> None:
        """Keep bytes; those that are there already are left alone."""

    def get(self, session: Session, names: Collection[str]) -> dict[str, bytes]:
        """The bytes of those names; a name that is not there is left out."""

    def sizes(self, session: Session, names: Collection[str]) -> dict[str, int]:
        """How many bytes those names have; a name that is not there is left out."""

    def names(self, session: Session, after: str, most: int) -> list[str]:
        """The names that are there and come after one, so many at most, in their order."""

    def forget(self, session: Session, names: Collection[str], in_use: InUse) -> set[str]:
        """Drop bytes that nothing refers to. Returns the names that somebody is keeping right
        now, of which nothing can be said until that transaction has ended.
        """


class StoredBlob(Base):
    """Bytes in the database."""

    __tablename__ = "blobs"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class DatabaseBlobs:
    """Bytes in a table beside the rows that refer to them."""

    def put(self, session: Session, blobs: Iterable[Blob]) -> None:
        """Keep bytes; those that are there already are left alone."""
        # In one order everywhere: two transactions that keep the same bytes wait, not deadlock.
        rows: list[dict[str, Any]] = [
            {"sha256": b.sha256, "data": b.data} for b in sorted(blobs, key=lambda b: b.sha256)
        ]
        if not rows:
            return
        if session.get_bind().dialect.name == "sqlite":
            session.execute(sqlite.insert(StoredBlob).on_conflict_do_nothing(), rows)
            return
        while rows:
            session.execute(postgresql.insert(StoredBlob).on_conflict_do_nothing(), rows)
            # What was there already must not be forgotten before we have referred to it; what
            # was forgotten while we waited for the lock is put again.
            held: set[str] = set()
            for some in parts([row["sha256"] for row in rows]):
                held |= _locked(session, some, deleting=False)
            rows = [row for row in rows if row["sha256"] not in held]

    def get(self, session: Session, names: Collection[str]) -> dict[str, bytes]:
        """The bytes of those names; a name that is not there is left out."""
        found: dict[str, bytes] = {}
        for some in parts(names):
            query = select(StoredBlob.sha256, StoredBlob.data)
            rows = session.execute(query.where(StoredBlob.sha256.in_(some)))
            found |= {name: data for name, data in rows}
        return found

    def sizes(self, session: Session, names: Collection[str]) -> dict[str, int]:
        """How many bytes those names have; a name that is not there is left out."""
        found: dict[str, int] = {}
        for some in parts(names):
            query = select(StoredBlob.sha256, func.length(StoredBlob.data))
            rows = session.execute(query.where(StoredBlob.sha256.in_(some)))
            found |= {name: size for name, size in rows}
        return found

    def names(self, session: Session, after: str, most: int) -> list[str]:
        """The names that are there and come after one, so many at most, in their order."""
        query = select(StoredBlob.sha256).where(StoredBlob.sha256 > after)
        return list(session.scalars(query.order_by(StoredBlob.sha256).limit(most)))

    def forget(self, session: Session, names: Collection[str], in_use: InUse) -> set[str]:
        """Drop bytes that nothing refers to; returns the names that somebody is keeping."""
        kept: set[str] = set()
        for some in parts(names):
            there = set(
                session.scalars(select(StoredBlob.sha256).where(StoredBlob.sha256.in_(some)))
            )
            # Locked before it is asked who refers to them: whoever keeps one later waits.
            ours = _locked(session, some, deleting=True)
            kept |= there - ours
            gone = StoredBlob.sha256.in_(ours - in_use(ours))
            session.execute(delete(StoredBlob).where(gone))
        return kept


def _locked(session: Session, names: list[str], deleting: bool) -> set[str]:
    """Those of the names that are there, locked until the transaction ends.

    Whoever deletes takes what is free, so that it never waits while somebody waits for it. SQLite
    has one writer, and needs no locks.
    """
    query = select(StoredBlob.sha256).where(StoredBlob.sha256.in_(names))
    query = query.order_by(StoredBlob.sha256)
    locked = query.with_for_update(read=not deleting, key_share=not deleting, skip_locked=deleting)
    return set(session.scalars(locked))


def parts(names: Collection[str]) -> Iterator[list[str]]:
    """The names in their order, some at a time: a database takes only so many parameters."""
    ordered = sorted(names)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]


def attached(blobs: BlobStore) -> dict[str, object]:
    """What a session carries so that ``put`` and ``get`` find the place."""
    return {_KEY: blobs}


def put(session: Session, *blobs: Blob) -> None:
    """Keep bytes where the session's database keeps them."""
    _store(session).put(session, {b.sha256: b for b in blobs}.values())


def get_many(session: Session, names: Collection[str]) -> dict[str, bytes]:
    """The bytes of several names. Raises ``BlobsGone`` when some are gone."""
    wanted = set(names)
    found = _store(session).get(session, wanted) if wanted else {}
    if len(found) < len(wanted):
        missing = min(wanted - found.keys())
        raise BlobsGone(f"{len(wanted) - len(found)} blobs are gone, such as {missing}")
    return found


def get(session: Session, name: str) -> bytes:
    """The bytes of one name. Raises ``BlobsGone`` when they are gone."""
    return get_many(session, [name])[name]


def bytes_of(session: Session, names: Collection[str]) -> int:
    """How many bytes those names have together; what is not there has none."""
    return sum(_store(session).sizes(session, set(names)).values())


def all_names(session: Session) -> Iterator[list[str]]:
    """The names of all bytes that are there, some at a time."""
    after = ""
    while found := _store(session).names(session, after, _AT_ONCE):
        yield found
        after = found[-1]


def in_portions(session: Session, names: Collection[str]) -> Iterator[dict[str, bytes]]:
    """The bytes of those names in their order, some megabytes at a time; what is not there is
    left out.
    """
    portion: list[str] = []
    size = 0
    for name, more in sorted(_store(session).sizes(session, names).items()):
        if portion and size + more > _PORTION_BYTES:
            yield _in_order(session, portion)
            portion, size = [], 0
        portion.append(name)
        size += more
    if portion:
        yield _in_order(session, portion)


def _in_order(session: Session, names: list[str]) -> dict[str, bytes]:
    found = _store(session).get(session, names)
    return {name: found[name] for name in names if name in found}


def everything(session: Session) -> Iterator[tuple[str, bytes]]:
    """All names that are there, with their bytes, a few megabytes in memory at a time."""
    for names in all_names(session):
        for portion in in_portions(session, names):
            yield from portion.items()


def those_there(session: Session, names: Collection[str]) -> set[str]:
    """Of some names, those that are there."""
    return set(_store(session).sizes(session, names))


def forget(session: Session, names: Collection[str], in_use: InUse) -> set[str]:
    """Drop bytes that nothing refers to; returns the names to be asked for again later."""
    return _store(session).forget(session, set(names), in_use) if names else set()


def _store(session: Session) -> BlobStore:
    return cast("BlobStore", session.info[_KEY])
