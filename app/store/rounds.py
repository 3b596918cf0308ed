"""Rounds, the batch that each asks for, and who holds which slice of it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.store.base import Base, EnumText, utc_now
from app.store.cases import Slice


class RoundState(StrEnum):
    """A round is open until the next one opens."""

    OPEN = "open"
    CLOSED = "closed"


class LeaseOutcome(StrEnum):
    """How a lease ended."""

    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    RELEASED = "released"
    EXPIRED = "expired"


class Round(Base):
    """One turn of the loop. ``settings`` are the query settings and the seed it was drawn with."""

    __tablename__ = "rounds"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        Index(
            "uq_rounds_open",
            "project_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    strategy: Mapped[str] = mapped_column(String(64))
    settings: Mapped[dict[str, Any]]
    model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    # Mean distance of the batch's slices to their nearest labelled neighbours.
    nearest: Mapped[float | None]
    # Why the batch is drawn for variety instead of by the strategy; None where it is not.
    exploring: Mapped[str | None] = mapped_column(Text)
    # A server draws the map of the pool when somebody looks: since when, and why it could not.
    map_begun_at: Mapped[datetime | None]
    map_error: Mapped[str | None] = mapped_column(Text)
    # Kept for some days alone, and gone since.
    map_removed_at: Mapped[datetime | None]
    state: Mapped[RoundState] = mapped_column(EnumText(RoundState), default=RoundState.OPEN)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    # When enough of its batch was labelled for the first time: told once, whatever comes after.
    labelled_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class QueryItem(Base):
    """One slice of a round's batch."""

    __tablename__ = "query_items"
    __table_args__ = (
        UniqueConstraint("round_id", "slice_id"),
        UniqueConstraint("round_id", "rank"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id"))
    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), index=True)
    rank: Mapped[int]
    # A strategy of one's own may name its lists as it likes; ours are in ``core.streams``.
    stream: Mapped[str] = mapped_column(String(20))
    score: Mapped[float | None]

    slice: Mapped[Slice] = relationship()


class MapPoint(Base):
    """Where a slice lies in the plane into which a round's model spreads the pool (t-SNE)."""

    __tablename__ = "map_points"

    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), primary_key=True, index=True)
    x: Mapped[float]
    y: Mapped[float]


_LIVE = text("ended_at IS NULL")


class Lease(Base):
    """An annotator's hold on a slice, on one of the ``seat`` that its readers have.

    At most one lease of a seat is not ended, and nobody holds two seats of a slice.
    """

    __tablename__ = "leases"
    __table_args__ = (
        Index(
            "uq_leases_live",
            "slice_id",
            "seat",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
        Index(
            "uq_leases_own",
            "slice_id",
            "account_id",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
        Index("ix_leases_round", "round_id", "slice_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id"))
    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    seat: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[LeaseOutcome | None] = mapped_column(EnumText(LeaseOutcome))
    reason: Mapped[str] = mapped_column(Text, default="")
