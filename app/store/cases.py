"""Projects, their cases (one patient or volume), the slices of a case and their pixels."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.splits import Split
from app.store.base import Base, EnumText, utc_now


class Project(Base):
    """One segmentation task: its classes and its settings (see ``core.project_settings``)."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    classes: Mapped[list[Any]]
    query: Mapped[dict[str, Any]]
    training: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Case(Base):
    """One patient or volume.

    ``source`` keeps what is needed to go back to the original file: affine, shape, and the
    intensity mapping ``original = stored * slope + intercept``.
    """

    __tablename__ = "cases"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(128))
    split: Mapped[Split] = mapped_column(EnumText(Split))
    source: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Slice(Base):
    """One 2D picture of a case, without its pixels, so that listing a pool reads no image.

    ``mean`` and ``mean_square`` are the intensity moments from which the worker standardises
    a whole case without reading all of it.
    """

    __tablename__ = "slices"
    __table_args__ = (
        UniqueConstraint("case_id", "index"),
        Index("ix_slices_pool", "project_id", "split", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    # Copied from the case, which never changes it: the pool is asked for at every query.
    split: Mapped[Split] = mapped_column(EnumText(Split))
    index: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    bits: Mapped[int]
    upload_sha256: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    mean: Mapped[float]
    mean_square: Mapped[float]
    # A thumbnail, by which the first batch can be chosen before there is a model.
    appearance: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Every annotator of a round skipped it: not asked for again, though a mask is welcome.
    set_aside: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    case: Mapped[Case] = relationship()


class SliceImage(Base):
    """The pixels of a slice as an 8- or 16-bit greyscale PNG."""

    __tablename__ = "slice_images"

    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), primary_key=True)
    png: Mapped[bytes] = mapped_column(LargeBinary)


class Truth(Base):
    """Hidden ground truth for the simulated oracle. No route serves this table."""

    __tablename__ = "truths"

    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), primary_key=True)
    png: Mapped[bytes] = mapped_column(LargeBinary)
