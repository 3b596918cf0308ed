"""Trained models, the scores they gave the pool, and what they suggest for the batch."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.store.base import Base, utc_now


class ModelVersion(Base):
    """One trained network: weights as safetensors, its parent, what it was trained on."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("project_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    # One job makes one model, however many workers tried it.
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), unique=True)
    architecture: Mapped[dict[str, Any]]
    mask_ids: Mapped[list[Any]]
    scores: Mapped[dict[str, Any]]
    seed: Mapped[int]
    seconds: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    # An admin may bring an older model back: the current one was made or promoted last.
    promoted_at: Mapped[datetime | None]
    # Why it did not become the current one: it was worse than its parent. None where it did.
    held_back: Mapped[str | None] = mapped_column(Text)
    # Empty once they were removed: see ``removed``.
    weights_sha256: Mapped[str] = mapped_column(String(64))
    # What of it was kept for some days alone and is gone: since when (ISO 8601), by kind.
    removed: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Score(Base):
    """One measure of one slice under one model, summed over each region (eqs. 3, 4).

    Sums and pixel counts are both kept, so that the mean form needs no second pass.
    """

    __tablename__ = "scores"

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), primary_key=True, index=True)
    measure: Mapped[str] = mapped_column(String(32), primary_key=True)
    total: Mapped[float]
    target: Mapped[float]
    boundary: Mapped[float]
    pixels: Mapped[int]
    target_pixels: Mapped[int]
    boundary_pixels: Mapped[int]
    # Σ P(c|p) · measure over all pixels, for each foreground class.
    by_class: Mapped[list[Any]]


class SliceFeatures(Base):
    """What a model sees in a slice: predicted foreground pixels, and its bottleneck features.

    ``features``: little-endian float16 (F,). Kept of a project's newest model alone: of the pool
    that it scored, and of the slices that were labelled then, whose ``foreground_pixels`` are None.
    """

    __tablename__ = "slice_features"

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), primary_key=True, index=True)
    foreground_pixels: Mapped[int | None]
    features: Mapped[bytes] = mapped_column(LargeBinary)


class Suggestion(Base):
    """A model's mask of a slice in the batch, and its uncertainty map scaled to 8 bits."""

    __tablename__ = "suggestions"

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), primary_key=True, index=True)
    mask_sha256: Mapped[str] = mapped_column(String(64))
    uncertainty_sha256: Mapped[str] = mapped_column(String(64))
