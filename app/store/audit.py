"""Who did what when, chained so that what was changed afterwards shows."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.store.accounts import Account
from app.store.base import Base, utc_now

BACKUP_MADE = "backup.made"
# Spelled out, not bound: else neither engine sees that the index below is meant.
IS_BACKUP = text(f"action = '{BACKUP_MADE}'")


class Event(Base):
    """The audit trail: append-only.

    ``address``: a hash of where it was asked from. ``sealed``: its place in the chain, given soon
    after it was written; ``digest`` is of ``detail`` as it was then, which may be emptied
    when what it tells of is deleted; ``chain`` is of this entry and of all before it.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_project", "project_id", "id"),
        Index("uq_events_sealed", "sealed", unique=True),
        # Monitoring asks for the newest every few seconds; the trail grows without end.
        Index("ix_events_backups", "id", sqlite_where=IS_BACKUP, postgresql_where=IS_BACKUP),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utc_now)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    action: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    address: Mapped[str | None] = mapped_column(String(32))
    sealed: Mapped[int | None]
    digest: Mapped[str | None] = mapped_column(String(64))
    chain: Mapped[str | None] = mapped_column(String(64))

    account: Mapped[Account | None] = relationship()


class Installation(Base):
    """What there is one of: the key by which addresses are hashed. Its row is the chain's lock.

    ``retention_at``: when a server last took it on to remove what was kept long enough.
    ``audit_sealed`` and ``audit_chain``: the last entry that was sealed, and the chain up to it.
    """

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    address_key: Mapped[bytes] = mapped_column(LargeBinary)
    retention_at: Mapped[datetime | None]
    audit_sealed: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    audit_chain: Mapped[str | None] = mapped_column(String(64))
