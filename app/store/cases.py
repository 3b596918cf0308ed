"""Projects, their cases (one patient or volume), the slices of a case and their pixels."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.rescale import Rescale
from app.core.splits import Split
from app.store.base import Base, EnumText, utc_now


class Project(Base):
    """One segmentation task: its classes and its settings (see ``core.project_settings``).

    ``former_names``: what it was called before, the last at the end; ``archived_at``: since when it
    is only read.
    """

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    classes: Mapped[list[Any]]
    channels: Mapped[list[Any]]
    query: Mapped[dict[str, Any]]
    training: Mapped[dict[str, Any]]
    former_names: Mapped[list[Any]] = mapped_column(default=list)
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Case(Base):
    """One patient or volume.

    ``affine``: (4, 4) from (column, row, slice index) to RAS in mm, None where nothing is known.
    ``source`` keeps what a writer needs to give the case back as it came.
    """

    __tablename__ = "cases"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(128))
    split: Mapped[Split] = mapped_column(EnumText(Split))
    affine: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    source: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Slice(Base):
    """One place in a case. What it shows lies in ``Image``, so that listing a pool is cheap."""

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
    # All channels of the project are in: only then is it asked for, scored or learned from.
    complete: Mapped[bool] = mapped_column(default=False)
    # A thumbnail, by which the first batch can be chosen before there is a model.
    appearance: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Every annotator of a round skipped it: not asked for again, though a mask is welcome.
    set_aside: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    case: Mapped[Case] = relationship()
    images: Mapped[list["Image"]] = relationship(
        order_by="Image.channel", viewonly=True, lazy="raise"
    )


class Image(Base):
    """One channel of a slice: a greyscale PNG of 8 or 16 bits among the blobs.

    The file's value is (stored + ``offset``) · ``slope`` + ``intercept``, in ``unit``. ``mean``
    and ``mean_square`` are of these values: a case is standardised without reading all of it.
    """

    __tablename__ = "images"

    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), primary_key=True)
    # Its place among the project's channels.
    channel: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    upload_sha256: Mapped[str] = mapped_column(String(64))
    bits: Mapped[int]
    offset: Mapped[int] = mapped_column(default=0)
    slope: Mapped[float] = mapped_column(default=1.0)
    intercept: Mapped[float] = mapped_column(default=0.0)
    unit: Mapped[str | None] = mapped_column(String(16))
    mean: Mapped[float]
    mean_square: Mapped[float]

    @property
    def rescale(self) -> Rescale:
        """The way back to the file's values."""
        return Rescale(self.offset, self.slope, self.intercept, self.unit)


class Truth(Base):
    """Hidden ground truth for the simulated oracle. No route serves this table."""

    __tablename__ = "truths"

    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
