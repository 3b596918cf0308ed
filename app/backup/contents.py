"""What bytes hold: whether they are what their name says, and what their rows say of them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Row, Select, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.backup.progress import Watch, counted
from app.core import pixels
from app.core.blob import digest
from app.store import (
    Image,
    Label,
    Mask,
    Project,
    ReviewState,
    Slice,
    Suggestion,
    Truth,
    blobs,
)

_AT_ONCE = 200


def changed_bytes(session: Session, watch: Watch) -> Iterator[str]:
    """Bytes that are other bytes than their name, the sha256 of them, says."""
    for name, body in counted(blobs.everything(session), "blobs", watch):
        if digest(body) != name:
            yield f"the bytes {name} are damaged: their sha256 is {digest(body)}"


def wrong_masks(session: Session, watch: Watch) -> Iterator[str]:
    """Masks, truths and suggestions that are no class indices of their slice's size."""
    yield from _wrong(session, watch, "mask", Mask.sha256, Mask.id, Mask.foreground_pixels)
    yield from _wrong(session, watch, "truth of slice", Truth.sha256, Truth.slice_id)
    yield from _wrong(
        session, watch, "suggestion for slice", Suggestion.mask_sha256, Suggestion.slice_id
    )


def _wrong(
    session: Session,
    watch: Watch,
    what: str,
    name: InstrumentedAttribute[str],
    number: InstrumentedAttribute[int],
    foreground: InstrumentedAttribute[int] | None = None,
) -> Iterator[str]:
    of_slice = name.class_.slice_id
    query = (
        select(
            number.label("number"),
            of_slice.label("slice_id"),
            name.label("name"),
            (literal(-1) if foreground is None else foreground).label("pixels"),
            Slice.height,
            Slice.width,
            Project.classes,
        )
        .join(Slice, Slice.id == of_slice)
        .join(Project, Project.id == Slice.project_id)
    )
    for row, body in counted(_with_bytes(session, query, name, number), f"{what}s", watch):
        fault = _fault_of_mask(row, body)
        if fault is not None:
            yield f"{what} {row.number} {fault}"


def _with_bytes(
    session: Session, query: Select[*tuple[Any, ...]], name: InstrumentedAttribute[str], *key: Any
) -> Iterator[tuple[Row[*tuple[Any, ...]], bytes]]:
    """Rows with their bytes, a bounded number at a time; those whose bytes are gone are not here.

    They come in the order of ``name``, then ``key``: equal bytes are fetched once.
    """
    last = ""
    while names := list(
        session.scalars(select(name).where(name > last).distinct().order_by(name).limit(_AT_ONCE))
    ):
        for portion in blobs.in_portions(session, names):
            found = query.where(name.in_(portion)).order_by(name, *key)
            rows = session.execute(found.execution_options(yield_per=_AT_ONCE))
            for row in rows:
                yield row, portion[row.name]
        last = names[-1]


def _fault_of_mask(row: Row[*tuple[Any, ...]], body: bytes) -> str | None:
    found = _decoded(body)
    if isinstance(found, str):
        return found
    if found.shape != (row.height, row.width):
        return f"is {_size(found.shape)}, its slice is {_size((row.height, row.width))}"
    if found.max() >= len(row.classes):
        return f"holds class {found.max()}, its project has {len(row.classes)}"
    drawn = np.count_nonzero(found)
    if row.pixels not in (-1, drawn):
        return f"has {drawn} foreground pixels, its row says {row.pixels}"
    return None


def wrong_images(session: Session, watch: Watch) -> Iterator[str]:
    """Images of another size or depth than their rows say; slices that lack a channel."""
    query = select(
        Image.slice_id,
        Image.channel,
        Image.bits,
        Image.sha256.label("name"),
        Slice.height,
        Slice.width,
    ).join(Slice, Slice.id == Image.slice_id)
    found = _with_bytes(session, query, Image.sha256, Image.slice_id, Image.channel)
    for row, body in counted(found, "images", watch):
        fault = _fault_of_image(row, body)
        if fault is not None:
            yield f"channel {row.channel} of slice {row.slice_id} {fault}"
    yield from _incomplete(session)


def _fault_of_image(row: Row[*tuple[Any, ...]], body: bytes) -> str | None:
    found = _decoded(body)
    if isinstance(found, str):
        return found
    if found.shape != (row.height, row.width):
        return f"is {_size(found.shape)}, its slice is {_size((row.height, row.width))}"
    if 8 * found.dtype.itemsize != row.bits:
        return f"has {8 * found.dtype.itemsize} bits, its row says {row.bits}"
    return None


def _incomplete(session: Session) -> Iterator[str]:
    images = (
        select(func.count()).where(Image.slice_id == Slice.id).correlate(Slice).scalar_subquery()
    )
    query = (
        select(Slice.id, Project.channels, images.label("images"))
        .join(Project, Project.id == Slice.project_id)
        .where(Slice.complete)
        .order_by(Slice.id)
    )
    for row in session.execute(query.execution_options(yield_per=_AT_ONCE)):
        if row.images != len(row.channels):
            yield (
                f"slice {row.id} is said to be complete, and has {row.images} of "
                f"{len(row.channels)} channels"
            )


def wrong_labels(session: Session) -> Iterator[str]:
    """Labels whose mask is of another slice, or was rejected."""
    query = (
        select(Label.slice_id, Mask.id, Mask.slice_id.label("drawn_on"))
        .join(Mask, Mask.id == Label.mask_id)
        .where((Mask.slice_id != Label.slice_id) | (Mask.review_state == ReviewState.REJECTED))
        .order_by(Label.slice_id)
    )
    for row in session.execute(query.execution_options(yield_per=_AT_ONCE)):
        why = "was rejected" if row.drawn_on == row.slice_id else f"is of slice {row.drawn_on}"
        yield f"the label of slice {row.slice_id} is mask {row.id}, which {why}"


def _decoded(body: bytes) -> pixels.Pixels | str:
    try:
        return pixels.decode(body)
    except Exception as error:  # libraries raise whatever a damaged file makes them stumble over
        return f"cannot be decoded: {error}"


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} × {shape[0]} pixels"
