"""Slices as people are told of them: what each shows, and where it lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, selectinload

from app.core.geometry import Edges, Geometry, Plane, Spacing
from app.core.splits import Split
from app.loop.access import Reader
from app.loop.paging import Page, paginate
from app.loop.slices import find_slice
from app.store import Case, Project, Role, Slice


@dataclass(frozen=True)
class ChannelView:
    """One channel of a slice: the file's value is (stored + offset) · slope + intercept."""

    name: str
    offset: int
    slope: float
    intercept: float
    unit: str | None


@dataclass(frozen=True)
class SliceView:
    """A slice as everybody is told of it: what it shows and where it lies.

    ``sha256`` and ``bits`` are of the first channel that is in; ``missing`` names the others.
    """

    id: int
    case: str
    index: int
    split: Split
    height: int
    width: int
    bits: int
    sha256: str
    channels: list[ChannelView]
    missing: list[str]
    spacing: Spacing | None
    orientation: Edges | None
    plane: Plane | None


def view_of(slice_: Slice, channels: Sequence[str]) -> SliceView:
    """A slice loaded by ``with_images``; ``channels`` are its project's."""
    geometry = Geometry.of_list(slice_.case.affine)
    there = {image.channel for image in slice_.images}
    first = slice_.images[0]
    return SliceView(
        id=slice_.id,
        case=slice_.case.name,
        index=slice_.index,
        split=slice_.split,
        height=slice_.height,
        width=slice_.width,
        bits=first.bits,
        sha256=first.sha256,
        channels=[
            ChannelView(channels[i.channel], i.offset, i.slope, i.intercept, i.unit)
            for i in slice_.images
        ],
        missing=[name for number, name in enumerate(channels) if number not in there],
        spacing=geometry.spacing if geometry else None,
        orientation=geometry.edges if geometry else None,
        plane=geometry.plane if geometry else None,
    )


def with_images(query: Select[Any]) -> Select[Any]:
    """A query of slices with what ``view_of`` needs of them."""
    return (
        query.join(Slice.case)
        .options(contains_eager(Slice.case), selectinload(Slice.images))
        .execution_options(populate_existing=True)
    )


def show_slice(session: Session, reader: Reader, slice_id: int) -> SliceView:
    """A slice as it is shown. Raises ``NotFound``."""
    slice_ = find_slice(session, reader, slice_id, Role.VIEWER)
    project = session.get_one(Project, slice_.project_id)
    query = with_images(select(Slice).where(Slice.id == slice_id))
    return view_of(session.scalars(query).one(), project.channels)


def list_slices(
    session: Session, project: Project, case: str | None, cursor: int | None, limit: int
) -> Page[SliceView]:
    """A page of the project's slices, or of one case's."""
    query = with_images(select(Slice).where(Slice.project_id == project.id))
    if case is not None:
        query = query.where(Case.name == case)
    channels = project.channels
    return paginate(session, query, Slice.id, cursor, limit, lambda one: view_of(one, channels))
