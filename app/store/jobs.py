"""Jobs: the truth about work. A broker's message only says that it is worth looking here."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from app.store.base import Base, EnumText, utc_now


class JobKind(StrEnum):
    """What a job does."""

    RETRAIN = "retrain"
    SCORE = "score"


class JobState(StrEnum):
    """Where a job stands. A retrain job waits while its scoring shards run."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE_STATES = (JobState.QUEUED, JobState.RUNNING, JobState.WAITING)
_ACTIVE_ROOT = text("parent_id IS NULL AND state IN ('queued', 'running', 'waiting')")


class Job(Base):
    """One piece of work. ``attempt`` is raised by every claim and guards every result.

    ``failures`` of its step so far; ``retry_at``: by the database's clock, when what failed is
    tried again, None where it does not wait for that; ``checkpoint``: which version is whole.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        # One retraining at a time in a project, whoever asked.
        Index(
            "uq_jobs_active",
            "project_id",
            unique=True,
            sqlite_where=_ACTIVE_ROOT,
            postgresql_where=_ACTIVE_ROOT,
        ),
        Index("ix_jobs_claim", "state", "queue", "id"),
        Index("ix_jobs_parent_id", "parent_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"))
    kind: Mapped[JobKind] = mapped_column(EnumText(JobKind))
    queue: Mapped[str] = mapped_column(String(16))
    step: Mapped[str] = mapped_column(String(16))
    state: Mapped[JobState] = mapped_column(EnumText(JobState), default=JobState.QUEUED)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    progress: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime | None]
    checkpoint: Mapped[int | None]
    worker: Mapped[str | None] = mapped_column(String(128))
    heartbeat_at: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]
    announcements: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    # Since when it waits for a worker; None for jobs of before this was noted.
    queued_at: Mapped[datetime | None] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @validates("state")
    def _note_queued(self, _name: str, state: JobState) -> JobState:
        # Here, so that nobody who puts a job back in its queue can forget it.
        if state == JobState.QUEUED:
            self.queued_at = utc_now()
        return state


class Worker(Base):
    """A worker process that is, or was, there; and what it can load of the catalogue.

    ``capabilities``: kind → name → None, or why it cannot be loaded.
    """

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    queues: Mapped[list[Any]]
    capabilities: Mapped[dict[str, Any]]
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)
