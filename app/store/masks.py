"""Masks, their reviews, and which mask of a slice is its label."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.store.accounts import Account
from app.store.base import Base, EnumText, utc_now
from app.store.cases import Slice


class MaskSource(StrEnum):
    """Where a mask came from."""

    HUMAN = "human"
    ORACLE = "oracle"
    IMPORT = "import"
    CONSENSUS = "consensus"


class MaskOrigin(StrEnum):
    """How a mask came about."""

    # By hand alone.
    DRAWN = "drawn"
    # From a model's suggestion, changed by hand; or exactly as it was suggested.
    CORRECTED = "corrected"
    ACCEPTED = "accepted"
    # Said to hold no target; or handed in without any, and nothing said.
    BLANK = "blank"
    EMPTY = "empty"
    IMPORTED = "imported"
    COMPUTED = "computed"


class ReviewState(StrEnum):
    """What reviewers said of a mask last."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Mask(Base):
    """One revision of one author's mask of a slice: never changed, never deleted."""

    __tablename__ = "masks"
    __table_args__ = (UniqueConstraint("slice_id", "author_id", "revision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"))
    author_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    revision: Mapped[int]
    source: Mapped[MaskSource] = mapped_column(EnumText(MaskSource))
    # None for masks of before this was asked.
    origin: Mapped[MaskOrigin | None] = mapped_column(EnumText(MaskOrigin))
    suggestion_model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"), index=True)
    late: Mapped[bool] = mapped_column(default=False)
    # Its author was never handed the slice: a reading that counts once a reviewer accepts it.
    unasked: Mapped[bool] = mapped_column(default=False)
    seconds: Mapped[float | None]
    foreground_pixels: Mapped[int]
    upload_sha256: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    review_state: Mapped[ReviewState] = mapped_column(
        EnumText(ReviewState), default=ReviewState.PENDING
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    slice: Mapped[Slice] = relationship()
    author: Mapped[Account] = relationship()


class Agreement(Base):
    """How alike two annotators' masks of one slice are: mean Dice of the foreground classes.

    Reckoned once, when the later of the two came.
    """

    __tablename__ = "agreements"

    mask_id: Mapped[int] = mapped_column(ForeignKey("masks.id"), primary_key=True)
    other_id: Mapped[int] = mapped_column(ForeignKey("masks.id"), primary_key=True, index=True)
    dice: Mapped[float]


class Label(Base):
    """The mask of a slice that trains: elected anew when masks or reviews come."""

    __tablename__ = "labels"
    __table_args__ = (Index("ix_labels_mask_id", "mask_id"),)

    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), primary_key=True)
    mask_id: Mapped[int] = mapped_column(ForeignKey("masks.id"))

    mask: Mapped[Mask] = relationship()


class Review(Base):
    """A reviewer's verdict on a mask: append-only."""

    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(primary_key=True)
    mask_id: Mapped[int] = mapped_column(ForeignKey("masks.id"), index=True)
    reviewer_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    verdict: Mapped[ReviewState] = mapped_column(EnumText(ReviewState))
    comment: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
