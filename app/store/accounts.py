"""Who may do what, and who did what when."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.store.base import Base, EnumText, utc_now


class Role(StrEnum):
    """Roles, each including the ones before it."""

    ANNOTATOR = "annotator"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Account(Base):
    """A person or a program."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    role: Mapped[Role] = mapped_column(EnumText(Role))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Token(Base):
    """A random bearer token, of which only the sha256 is kept."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    revoked_at: Mapped[datetime | None]

    account: Mapped[Account] = relationship()


class SignIn(Base):
    """A browser's session: made with a token and over when that is revoked.

    The cookie holds a random secret, of which only the sha256 is kept.
    """

    __tablename__ = "sign_ins"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    token: Mapped[Token] = relationship()


BACKUP_MADE = "backup.made"
# Spelled out, not bound: else neither engine sees that the index below is meant.
IS_BACKUP = text(f"action = '{BACKUP_MADE}'")


class Event(Base):
    """The audit trail: append-only."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_project", "project_id", "id"),
        # Monitoring asks for the newest every few seconds; the trail grows without end.
        Index("ix_events_backups", "id", sqlite_where=IS_BACKUP, postgresql_where=IS_BACKUP),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utc_now)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    action: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
