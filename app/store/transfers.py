"""Data sets on their way in or out: what was asked for, how far it is, and what came of it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.base import Base, EnumText, utc_now
from app.store.jobs import JobState


class TransferKind(StrEnum):
    """What is done: ``check`` only says what an import would do."""

    IMPORT = "import"
    CHECK = "check"
    EXPORT = "export"


class Transfer(Base):
    """An import or export. ``attempt`` is raised by every claim and guards every result;
    ``handed_back``: claims that ended in order, with their server, and count as no attempt.

    ``project`` is a name: an import makes its project only once a case could be read.
    """

    __tablename__ = "transfers"
    __table_args__ = (
        Index("ix_transfers_project", "project", "id"),
        Index("ix_transfers_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[TransferKind] = mapped_column(EnumText(TransferKind))
    project: Mapped[str] = mapped_column(String(64))
    # A layout of an import, a format of an export.
    layout: Mapped[str] = mapped_column(String(64))
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[JobState] = mapped_column(EnumText(JobState), default=JobState.QUEUED)
    progress: Mapped[dict[str, Any]] = mapped_column(default=dict)
    report: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None] = mapped_column(Text)
    # Where its bytes lie on the server that took it on; None for a command line's.
    folder: Mapped[str | None] = mapped_column(String(1024))
    attempt: Mapped[int] = mapped_column(default=0)
    handed_back: Mapped[int] = mapped_column(default=0)
    heartbeat_at: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
