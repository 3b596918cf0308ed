"""Webhooks: who wants to hear of a project, and what is sent to each."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.store.base import Base, EnumText, utc_now


class HookEvent(StrEnum):
    """What a webhook may tell of."""

    ROUND_OPENED = "round.opened"
    ROUND_LABELLED = "round.labelled"
    MODEL_MADE = "model.made"
    MODEL_HELD_BACK = "model.held_back"
    JOB_FAILED = "job.failed"
    IMPORT_DONE = "import.done"
    EXPORT_READY = "export.ready"


class DeliveryState(StrEnum):
    """Where a delivery stands. One that failed waits for its next try until it is given up."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class Hook(Base):
    """A receiver. ``secret`` signs, so it is kept as it is; ``note``: why it is not enabled."""

    __tablename__ = "hooks"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[Any]]
    secret: Mapped[str] = mapped_column(String(64))
    enabled: Mapped[bool] = mapped_column(default=True)
    note: Mapped[str | None] = mapped_column(Text)
    # Since when nothing came through, by the database's clock.
    failing_since: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Delivery(Base):
    """What one hook is told of one event: written with the event itself, sent afterwards.

    ``attempt`` is raised by every claim and guards every result; ``handed_back``: claims that ended
    with their server, before the try did, and count as none. ``due_at``, by the database's clock:
    not to be tried before; None for at once.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_state", "state", "hook_id", "id"),
        Index("ix_deliveries_hook", "hook_id", "id"),
        Index("ix_deliveries_project_id", "project_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    hook_id: Mapped[int] = mapped_column(ForeignKey("hooks.id"))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    event: Mapped[str] = mapped_column(String(20))
    payload: Mapped[dict[str, Any]]
    state: Mapped[DeliveryState] = mapped_column(
        EnumText(DeliveryState), default=DeliveryState.WAITING
    )
    attempt: Mapped[int] = mapped_column(default=0)
    handed_back: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    # Of the last try: the receiver's answer, if it gave one; what was wrong with it.
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]

    hook: Mapped[Hook] = relationship()
