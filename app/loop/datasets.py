"""Cases on their way in: some slices at a time, so that others can write in between."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import AlreadyExists, InvalidInput
from app.core.pixels import decode
from app.core.prepared import PreparedSlice
from app.core.rescale import Rescale
from app.core.splits import Split
from app.loop.masks import add_imported_masks
from app.loop.projects import lock_project
from app.loop.retraining import retrain_if_due
from app.loop.slices import add_slice, add_slices, ensure_case, same_values
from app.loop.truths import add_truths
from app.store import Case, Image, Job, Label, Mask, Project, Slice, Truth, blobs

Masks = Literal["pool", "oracle"]
# Millimetres that two readings of one place may differ by: the rounding of single precision.
_APART = 1e-2


@dataclass(frozen=True)
class IncomingCase:
    """A case as its files describe it: its place (see ``store.Case``), and what it is for."""

    name: str
    split: Split
    affine: list[list[float]] | None
    source: dict[str, Any]


@dataclass(frozen=True)
class KnownImage:
    """A channel of a slice that is there."""

    sha256: str
    upload_sha256: str
    rescale: Rescale


@dataclass(frozen=True)
class KnownSlice:
    """A slice that is there: its channels; ``answer``: sha256 of its label, else hidden truth."""

    size: tuple[int, int]
    images: Mapping[int, KnownImage]
    answer: str | None


@dataclass(frozen=True)
class KnownCase:
    """A case that is there, before more of it comes in."""

    split: Split
    affine: list[list[float]] | None
    slices: Mapping[int, KnownSlice]


def known_case(session: Session, project_id: int, name: str) -> KnownCase | None:
    """What is there of a case; None where it is not."""
    case = session.scalar(select(Case).where(Case.project_id == project_id, Case.name == name))
    if case is None:
        return None
    of_case = select(Slice.id).where(Slice.case_id == case.id)
    truths = select(Truth.slice_id, Truth.sha256).where(Truth.slice_id.in_(of_case))
    labels = select(Label.slice_id, Mask.sha256).join(Mask, Mask.id == Label.mask_id)
    labels = labels.where(Label.slice_id.in_(of_case))
    answers = dict((*session.execute(truths), *session.execute(labels)))
    images: dict[int, dict[int, KnownImage]] = {}
    for image in session.scalars(select(Image).where(Image.slice_id.in_(of_case))):
        known = KnownImage(image.sha256, image.upload_sha256, image.rescale)
        images.setdefault(image.slice_id, {})[image.channel] = known
    slices = session.scalars(select(Slice).where(Slice.case_id == case.id))
    return KnownCase(
        case.split,
        case.affine,
        {
            one.index: KnownSlice(
                (one.height, one.width), images.get(one.id, {}), answers.get(one.id)
            )
            for one in slices
        },
    )


def is_known(
    session: Session, name: str, incoming: PreparedSlice, known: KnownSlice | None
) -> bool:
    """Whether all of a slice is there, so that nothing need be written.

    Raises ``AlreadyExists`` where it is there with other values. Only reads: called before any
    write transaction, since it may have to decode.
    """
    if known is None:
        return False
    for number, image in incoming.images.items():
        there = known.images.get(number)
        bytes_agree = there is not None and (
            image.blob.sha256 == there.sha256 or image.upload_sha256 == there.upload_sha256
        )
        same = (
            there is None
            or (bytes_agree and image.rescale == there.rescale)
            or same_values(session, image, there.sha256, there.rescale)
        )
        if not same:
            raise AlreadyExists(
                f"slice {incoming.index} of case {name!r} is there already with other pixels: "
                "another case, or another version of it, goes by this name in the project; give "
                "its files another name, or import into another project"
            )
    return incoming.images.keys() <= known.images.keys() and (
        incoming.mask is None or known.answer is not None
    )


def is_answered_otherwise(
    session: Session, incoming: PreparedSlice, known: KnownSlice | None
) -> bool:
    """Whether a slice that is there has another label than the one that comes now."""
    if known is None or known.answer is None or incoming.mask is None:
        return False
    if known.answer == incoming.mask.blob.sha256:
        return False
    before, now = decode(blobs.get(session, known.answer)), decode(incoming.mask.blob.data)
    return not np.array_equal(before, now)


def keep_slices(
    session: Session,
    project: Project,
    incoming: IncomingCase,
    slices: Sequence[PreparedSlice],
    masks: Masks | None,
    compared: Collection[int] = (),
) -> int:
    """Keep some slices of a case, which is made if need be; returns how many are new.

    ``compared``: indices of slices that were there and are known to show the same (``is_known``).

    ``masks``: ``oracle`` hides the pool's masks for the simulated annotators, ``pool`` makes them
    labels; validation and test masks are labels in both. Raises ``AlreadyExists`` for other pixels
    in the same place, ``InvalidInput`` for a slice of another size than its case's.
    """
    # The order of locks is the same everywhere: the project first.
    lock_project(session, project.id)
    case = ensure_case(session, project, incoming.name, incoming.split)
    _fill_place(case, incoming)
    indices = [one.index for one in slices]
    there = set(
        session.scalars(
            select(Slice.index).where(Slice.case_id == case.id, Slice.index.in_(indices))
        )
    )
    fresh = [one for one in slices if one.index not in there]
    ids = add_slices(session, case, fresh, len(project.channels))
    new = len(fresh)
    for one in slices:
        if one.index in there:
            added = add_slice(
                session,
                case,
                one.index,
                one.images,
                len(project.channels),
                same=one.index in compared,
            )
            ids[one.index] = added.slice.id
            new += added.created
    drawn = {ids[one.index]: one.mask for one in slices if one.mask is not None}
    if masks == "oracle" and case.split is Split.POOL:
        add_truths(session, drawn)
    else:
        add_imported_masks(session, drawn)
    return new


def _fill_place(case: Case, incoming: IncomingCase) -> None:
    """Note where a case lies that is new, or came in without that by an earlier version."""
    if case.affine is None and (incoming.affine is not None or not case.source):
        case.affine, case.source = incoming.affine, incoming.source


def fill_place(session: Session, project_id: int, incoming: IncomingCase) -> None:
    """Note where a case lies of which all slices are there already."""
    lock_project(session, project_id)
    of_name = Case.project_id == project_id, Case.name == incoming.name
    case = session.scalar(select(Case).where(*of_name))
    if case is not None:
        _fill_place(case, incoming)


def case_came_in(session: Session, project_id: int) -> Job | None:
    """What follows from new slices: a retraining, if one has become due by them."""
    lock_project(session, project_id)
    return retrain_if_due(session, session.get_one(Project, project_id))


def check_place(
    known: KnownCase | None, incoming: IncomingCase, size: tuple[int, int, int]
) -> None:
    """Raise ``AlreadyExists`` where a case is there at another place, or for another split.

    ``size``: columns, rows and slices.
    """
    if known is None:
        return
    if known.split is not incoming.split:
        raise AlreadyExists(
            f"the case {incoming.name!r} is in the split {known.split}, not {incoming.split}: "
            "splits are by case, so that no patient is in two of them"
        )
    there, now = known.affine, incoming.affine
    if there is None or now is None:
        return
    # At the corner that lies farthest away.
    apart = np.abs(np.subtract(there, now))[:3] @ (*size, 1.0)
    if apart.max() > _APART:
        raise AlreadyExists(
            f"the case {incoming.name!r} is there already at another place: its affine is {there}, "
            f"now {now}; give its files another name, or import into another project"
        )


def check_size(known: KnownCase | None, name: str, height: int, width: int) -> None:
    """Raise ``InvalidInput`` where a case is there in another size: a case is one stack."""
    sizes = {one.size for one in known.slices.values()} if known else set()
    other = next((size for size in sizes if size != (height, width)), None)
    if other:
        raise InvalidInput(
            f"case {name!r} is there with slices of {other[1]} × {other[0]} pixels, these have "
            f"{width} × {height}: a case is one stack, so give them a case of their own"
        )
