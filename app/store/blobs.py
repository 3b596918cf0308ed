"""Where pixels, masks and weights lie: one port, by the sha256 of the bytes.

Nothing else reads or writes them, so they can be moved elsewhere by one class. In the database by
default: kept in the transaction that refers to them, and saved with one backup.
"""

from collections.abc import Collection, Iterable
from typing import Protocol, cast

from sqlalchemy import LargeBinary, String, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.core.blob import Blob
from app.store.base import Base

_KEY = "blobs"
_AT_ONCE = 500


class BlobStore(Protocol):
    """A place for bytes. What is put is there once the session's transaction is committed."""

    def put(self, session: Session, blobs: Iterable[Blob]) -> None:
        """Keep bytes; those that are there already are left alone."""

    def get(self, session: Session, names: Collection[str]) -> dict[str, bytes]:
        """The bytes of those names; a name that is not there is left out."""


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
        rows = [{"sha256": b.sha256, "data": b.data} for b in sorted(blobs, key=lambda b: b.sha256)]
        if not rows:
            return
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        session.execute(dialect.insert(StoredBlob).on_conflict_do_nothing(), rows)

    def get(self, session: Session, names: Collection[str]) -> dict[str, bytes]:
        """The bytes of those names; a name that is not there is left out."""
        found: dict[str, bytes] = {}
        ordered = sorted(names)
        # A database takes only so many parameters in one query.
        for start in range(0, len(ordered), _AT_ONCE):
            part = StoredBlob.sha256.in_(ordered[start : start + _AT_ONCE])
            rows = session.execute(select(StoredBlob.sha256, StoredBlob.data).where(part))
            found |= {name: data for name, data in rows}
        return found


def attached(blobs: BlobStore) -> dict[str, object]:
    """What a session carries so that ``put`` and ``get`` find the place."""
    return {_KEY: blobs}


def put(session: Session, *blobs: Blob) -> None:
    """Keep bytes where the session's database keeps them."""
    cast("BlobStore", session.info[_KEY]).put(session, {b.sha256: b for b in blobs}.values())


def get_many(session: Session, names: Collection[str]) -> dict[str, bytes]:
    """The bytes of several names. Raises ``LookupError`` when some are gone."""
    wanted = set(names)
    found = cast("BlobStore", session.info[_KEY]).get(session, wanted) if wanted else {}
    if len(found) < len(wanted):
        missing = min(wanted - found.keys())
        raise LookupError(f"{len(wanted) - len(found)} blobs are gone, such as {missing}")
    return found


def get(session: Session, name: str) -> bytes:
    """The bytes of one name. Raises ``LookupError`` when they are gone."""
    return get_many(session, [name])[name]
