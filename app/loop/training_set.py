"""What a model learns from: which labelled slices are for what, and their pixels."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from app.core.context import context_indices
from app.core.geometry import Geometry
from app.core.pixels import Pixels, decode
from app.core.project_settings import training_settings
from app.core.rescale import Moments, Rescale
from app.core.splits import Split, held_out_cases
from app.loop.readings import pixels_of
from app.store import Case, Image, Label, Mask, ModelVersion, Project, Slice, blobs

# Slices whose pixels are read at once: bounds memory, whatever the size of the pool.
_PAGE = 64
# How often a page is read again of which something was deleted between two queries.
_TRIES = 5


@dataclass(frozen=True)
class Plane:
    """What the network sees of one channel of a slice: stored pixels (H, W), their way back to
    the file's values, and the moments of the whole case in these values.
    """

    pixels: Pixels
    rescale: Rescale
    moments: Moments


@dataclass(frozen=True)
class LoadedSlice:
    """A slice with its input planes, the slice before first, and classes (H, W) or None.

    ``spacing``: mm between slices, rows and columns, where they are known of the case.
    """

    slice_id: int
    case: str
    index: int
    planes: list[Plane]
    classes: Pixels | None = None
    spacing: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class LabelledSlices:
    """The ids of labelled slices by use, and which validation it is.

    ``validation_kind`` is ``validation`` for the split of that name, ``held-out`` for a seeded
    fifth of the labelled pool cases, ``none`` where nothing is held out.
    """

    training: list[int]
    validation: list[int]
    test: list[int]
    mask_ids: list[int]
    validation_kind: str


def learned_cases(session: Session, model: ModelVersion) -> list[str]:
    """The cases that a model, and those that it went on from, have learned from.

    Of a model of before this was kept, those of its own masks.
    """
    kept = model.scores.get("learned")
    if kept is not None:
        return list(kept)
    found: set[str] = set()
    for start in range(0, len(model.mask_ids), _PAGE):
        query = (
            select(Case.name)
            .join(Slice, Slice.case_id == Case.id)
            .join(Mask, Mask.slice_id == Slice.id)
            .where(Mask.id.in_(model.mask_ids[start : start + _PAGE]))
        )
        found |= set(session.scalars(query))
    return sorted(found)


def labelled_slices(
    session: Session, project: Project, hold_out: bool = False, learned: Collection[str] = ()
) -> LabelledSlices:
    """Divide what is labelled. Test slices are named apart: they touch nothing but the Dice.

    ``hold_out``: where the validation split has too few, a part of the pool's cases stands in, if
    possible of those that the model has not ``learned`` from.
    """
    settings = training_settings(project)
    rows = session.execute(
        select(Slice.id, Slice.split, Case.name, Label.mask_id)
        .join(Label, Label.slice_id == Slice.id)
        .join(Case, Case.id == Slice.case_id)
        .where(Slice.project_id == project.id, Slice.complete.is_(True))
        .order_by(Slice.id)
    ).all()
    pool = [r for r in rows if r.split is Split.POOL]
    validation = [r.id for r in rows if r.split is Split.VALIDATION]
    kind = "validation"
    held_out: set[str] = set()
    if len(validation) < settings.min_validation_slices:
        if hold_out:
            held_out = held_out_cases({r.name for r in pool}, settings.seed, learned)
        validation = [r.id for r in pool if r.name in held_out]
        kind = "held-out" if held_out else "none"
    training = [r for r in pool if r.name not in held_out]
    return LabelledSlices(
        training=[r.id for r in training],
        validation=validation,
        test=[r.id for r in rows if r.split is Split.TEST],
        mask_ids=[r.mask_id for r in training],
        validation_kind=kind,
    )


def load_slices(
    session: Session, slice_ids: Sequence[int], context: int = 0, with_labels: bool = False
) -> Iterator[LoadedSlice]:
    """The slices of these ids in this order, their pixels read a page at a time.

    Slices that were deleted meanwhile are left out, with labels those without one.
    ``context``: so many slices before and after each come with it.
    """
    moments: dict[tuple[int, int], Moments] = {}
    size = max(1, _PAGE // (2 * context + 1))
    for start in range(0, len(slice_ids), size):
        page = slice_ids[start : start + size]
        yield from _page(session, page, context, with_labels, moments)


def _page(
    session: Session,
    page: Sequence[int],
    context: int,
    with_labels: bool,
    moments: dict[tuple[int, int], Moments],
) -> list[LoadedSlice]:
    for _ in range(_TRIES):
        # Not all databases show one state to all queries of a session.
        with suppress(LookupError):
            return _read(session, page, context, with_labels, moments)
    return _read(session, page, context, with_labels, moments)


def _read(
    session: Session,
    page: Sequence[int],
    context: int,
    with_labels: bool,
    moments: dict[tuple[int, int], Moments],
) -> list[LoadedSlice]:
    query = select(Slice, Case.name, Case.affine).join(Case, Case.id == Slice.case_id)
    rows = {row[0].id: row for row in session.execute(query.where(Slice.id.in_(page)))}
    labels = _labels(session, page) if with_labels else {}
    there = [one for one in page if one in rows and (one in labels or not with_labels)]
    around = _around(session, [rows[slice_id][0] for slice_id in there], context)
    images = _images(session, {n for ids in around.values() for n in ids})
    _add_moments(session, moments, {rows[slice_id][0].case_id for slice_id in there})
    return [
        LoadedSlice(
            slice_id=slice_id,
            case=rows[slice_id][1],
            index=rows[slice_id][0].index,
            planes=[
                Plane(pixels, rescale, moments[rows[slice_id][0].case_id, channel])
                for neighbour in around[slice_id]
                for channel, pixels, rescale in images[neighbour]
            ],
            classes=labels.get(slice_id),
            spacing=_spacing(rows[slice_id][2]),
        )
        for slice_id in there
    ]


def _spacing(affine: list[Any] | None) -> tuple[float, float, float] | None:
    geometry = Geometry.of_list(affine)
    if geometry is None:
        return None
    found = geometry.spacing
    return found.slice, found.row, found.column


def _around(session: Session, slices: Sequence[Slice], context: int) -> dict[int, list[int]]:
    """The ids of each slice's planes. Incomplete neighbours or of another size do not count."""
    if context == 0:
        return {one.id: [one.id] for one in slices}
    query = select(Slice.case_id, Slice.index, Slice.id, Slice.height, Slice.width).where(
        Slice.case_id.in_({one.case_id for one in slices}), Slice.complete.is_(True)
    )
    cases: dict[tuple[int, int, int], dict[int, int]] = {}
    for case_id, index, slice_id, height, width in session.execute(query):
        cases.setdefault((case_id, height, width), {})[index] = slice_id
    found = {}
    for one in slices:
        known = cases[one.case_id, one.height, one.width]
        found[one.id] = [known[i] for i in context_indices(one.index, context, known)]
    return found


def _images(session: Session, slice_ids: set[int]) -> dict[int, list[tuple[int, Pixels, Rescale]]]:
    """Channel, pixels and rescaling of all channels of slices, in the channels' order."""
    query = select(Image).where(Image.slice_id.in_(slice_ids))
    rows = session.scalars(query.order_by(Image.slice_id, Image.channel)).all()
    bytes_of = blobs.get_many(session, {row.sha256 for row in rows})
    found: dict[int, list[tuple[int, Pixels, Rescale]]] = {}
    for row in rows:
        plane = (row.channel, decode(bytes_of[row.sha256]), row.rescale)
        found.setdefault(row.slice_id, []).append(plane)
    return found


def _labels(session: Session, slice_ids: Sequence[int]) -> dict[int, Pixels]:
    query = select(Label).where(Label.slice_id.in_(slice_ids)).options(joinedload(Label.mask))
    labels = session.scalars(query).all()
    found = pixels_of(session, [label.mask for label in labels])
    return {label.slice_id: pixels for label, pixels in zip(labels, found, strict=True)}


def _add_moments(session: Session, known: dict[tuple[int, int], Moments], cases: set[int]) -> None:
    missing = cases - {case_id for case_id, _ in known}
    if not missing:
        return
    query = (
        select(Slice.case_id, Image.channel, func.avg(Image.mean), func.avg(Image.mean_square))
        .join(Image, Image.slice_id == Slice.id)
        .where(Slice.case_id.in_(missing))
        .group_by(Slice.case_id, Image.channel)
    )
    for case_id, channel, mean, mean_square in session.execute(query):
        known[case_id, channel] = Moments(mean, mean_square)
