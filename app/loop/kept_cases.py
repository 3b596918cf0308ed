"""Cases as they are kept, for whoever writes them out: which go, with which masks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session, joinedload

from app.core.blob import digest
from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.formats.writer import ExportedCase, Reading, StoredChannel
from app.loop.readings import is_valid
from app.store import (
    Account,
    Case,
    Image,
    Label,
    Mask,
    MaskOrigin,
    MaskSource,
    ModelVersion,
    Project,
    QueryItem,
    ReviewState,
    Round,
    Slice,
    blobs,
)


@dataclass(frozen=True)
class Selection:
    """Which masks go out: of each slice its label, or the newest valid mask of one ``reader``.

    ``only``: none but accepted ones; ``round``: of the slices that this round asked for;
    ``all_readings``: each reader's newest valid mask too, side by side with the labels.
    """

    only: Literal["accepted"] | None = None
    round: int | None = None
    reader: str | None = None
    all_readings: bool = False


@dataclass(frozen=True)
class ChosenMask:
    """A mask that goes out: of the case's labels, or with ``reader`` as one of the readings."""

    mask: Mask
    slice: Slice
    reader: str | None


@dataclass(frozen=True)
class KeptCase:
    """A case for a writer, and the masks that went into it."""

    case: ExportedCase
    masks: list[ChosenMask]


def check_selection(session: Session, project: Project, chosen: Selection) -> None:
    """Raise ``InvalidInput`` for a round or a reader that there is not."""
    if chosen.reader is not None and chosen.all_readings:
        raise InvalidInput("ask for one reader, or for all readings side by side, not for both")
    if chosen.round is not None:
        of_project = select(Round.number).where(Round.project_id == project.id)
        numbers = session.scalars(of_project.order_by(Round.number)).all()
        if chosen.round not in numbers:
            known = f"they go from {numbers[0]} to {numbers[-1]}" if numbers else "there is none"
            raise InvalidInput(f"project {project.name!r} has no round {chosen.round}: {known}")
    if chosen.reader is not None:
        names = session.scalars(
            select(Account.name)
            .where(
                Account.id.in_(
                    select(Mask.author_id)
                    .join(Slice, Slice.id == Mask.slice_id)
                    .where(Slice.project_id == project.id)
                )
            )
            .order_by(Account.name)
        ).all()
        if chosen.reader not in names:
            raise InvalidInput(
                f"nobody called {chosen.reader!r} has drawn in project {project.name!r}: "
                f"choose one of {', '.join(names) or 'nobody yet'}"
            )


def cases_to_export(session: Session, project: Project, chosen: Selection) -> list[tuple[int, str]]:
    """The ids and names of the cases that hold a chosen mask, in the order that they came in."""
    wanted = [_masks(project, chosen)]
    if chosen.all_readings:
        wanted.append(_readings(project, chosen))
    found: set[int] = set()
    for query in wanted:
        found |= set(session.scalars(query.with_only_columns(Slice.case_id).distinct()))
    rows = session.execute(
        select(Case.id, Case.name).where(Case.project_id == project.id).order_by(Case.id)
    )
    return [(case_id, name) for case_id, name in rows if case_id in found]


def read_case(
    session: Session, project: Project, case_id: int, chosen: Selection, images: bool
) -> KeptCase:
    """One case with its chosen masks; ``images``: with its pixels, as they are stored.

    Raises ``VolumeInvalid`` when its slices differ in size or none has a chosen mask any more.
    """
    case = session.get(Case, case_id)
    if case is None:
        raise VolumeInvalid("it was deleted meanwhile")
    slices = list(
        session.scalars(
            select(Slice)
            .where(Slice.case_id == case_id, Slice.complete.is_(True))
            .order_by(Slice.index)
        )
    )
    masks = _chosen_masks(session, project, case_id, chosen)
    if not masks or not slices:
        raise VolumeInvalid("none of its slices has a mask any more: it was changed meanwhile")
    sizes = {(one.height, one.width) for one in slices}
    if len(sizes) > 1:
        found = ", ".join(f"{width} × {height}" for height, width in sorted(sizes))
        raise VolumeInvalid(
            f"its slices differ in size ({found}): no volume can hold them; delete those of the "
            "wrong size, or make a case of each size"
        )
    readers = dict.fromkeys(m.reader for m in masks if m.reader is not None)
    exported = ExportedCase(
        name=case.name,
        split=case.split,
        size=sizes.pop(),
        indices=tuple(one.index for one in slices),
        channels=_channels(session, slices, len(project.channels)) if images else (),
        readings=tuple(_reading(session, slices, masks, name) for name in (None, *readers)),
        geometry=Geometry.of_list(case.affine),
        source=case.source,
    )
    return KeptCase(exported, masks)


def _masks(project: Project, chosen: Selection) -> Select[Mask]:
    """The masks that are labels, or valid ones of the chosen reader."""
    query = _of_project(project, chosen)
    if chosen.reader is None:
        on = and_(Label.mask_id == Mask.id, Label.slice_id == Slice.id)
        return query.join(Label, on)
    return query.where(_by(chosen.reader), is_valid())


def _readings(project: Project, chosen: Selection) -> Select[Mask]:
    """Valid masks of all readers; what several say together is nobody's reading."""
    query = _of_project(project, chosen)
    return query.where(Mask.source != MaskSource.CONSENSUS, is_valid())


def _of_project(project: Project, chosen: Selection) -> Select[Mask]:
    query = (
        select(Mask)
        .join(Slice, Slice.id == Mask.slice_id)
        .where(Slice.project_id == project.id, Slice.complete.is_(True))
    )
    if chosen.only == "accepted":
        query = query.where(Mask.review_state == ReviewState.ACCEPTED)
    if chosen.round is not None:
        asked = select(QueryItem.slice_id).join(Round, Round.id == QueryItem.round_id)
        asked = asked.where(Round.project_id == project.id, Round.number == chosen.round)
        query = query.where(Slice.id.in_(asked))
    return query


def _by(reader: str) -> ColumnElement[bool]:
    return Mask.author_id.in_(select(Account.id).where(Account.name == reader))


def _chosen_masks(
    session: Session, project: Project, case_id: int, chosen: Selection
) -> list[ChosenMask]:
    """A case's labels in the order of its slices, then each reader's newest masks."""
    labels = _newest(session, _masks(project, chosen).where(Slice.case_id == case_id))
    found = [ChosenMask(mask, mask.slice, None) for mask in labels]
    if chosen.all_readings:
        own = _newest(session, _readings(project, chosen).where(Slice.case_id == case_id))
        own.sort(key=lambda mask: (mask.author.name, mask.slice.index))
        found += [ChosenMask(mask, mask.slice, mask.author.name) for mask in own]
    return found


def _newest(session: Session, query: Select[Mask]) -> list[Mask]:
    """The last of each author's masks of each slice, in the order of slices."""
    masks = session.scalars(
        query.options(joinedload(Mask.author), joinedload(Mask.slice)).order_by(
            Slice.index, Mask.author_id, Mask.revision
        )
    )
    newest = {(mask.slice_id, mask.author_id): mask for mask in masks}
    return list(newest.values())


def _reading(
    session: Session, slices: list[Slice], masks: Iterable[ChosenMask], reader: str | None
) -> Reading:
    own = {m.slice.id: m.mask for m in masks if m.reader == reader}
    found = _bytes_of(session, {mask.sha256 for mask in own.values()})
    models = {m.suggestion_model_id for m in own.values()} - {None}
    numbers = select(ModelVersion.number).where(ModelVersion.id.in_(models))
    return Reading(
        reader,
        tuple(found[own[s.id].sha256] if s.id in own else None for s in slices),
        tuple(session.scalars(numbers.order_by(ModelVersion.number))) if models else (),
        any(mask.origin is MaskOrigin.COMPUTED for mask in own.values()),
    )


def _bytes_of(session: Session, names: set[str]) -> dict[str, bytes]:
    """Kept bytes, which are what they were. Raises ``VolumeInvalid``."""
    try:
        found = blobs.get_many(session, names)
    except LookupError as error:
        raise VolumeInvalid(
            "some of its pictures or masks are gone from where they are kept: restore them from "
            "a backup, or delete their slices"
        ) from error
    # Formats pass pictures on as they are: nobody else would look into them.
    damaged = sum(digest(data) != name for name, data in found.items())
    if damaged:
        raise VolumeInvalid(
            f"{damaged} of its pictures or masks are damaged where they are kept: restore them "
            "from a backup, or delete their slices"
        )
    return found


def _channels(session: Session, slices: list[Slice], count: int) -> tuple[StoredChannel, ...]:
    places = {one.id: place for place, one in enumerate(slices)}
    of_case = Image.slice_id.in_(select(Slice.id).where(Slice.case_id == slices[0].case_id))
    rows = [row for row in session.scalars(select(Image).where(of_case)) if row.slice_id in places]
    found = _bytes_of(session, {row.sha256 for row in rows})
    channels = []
    for number in range(count):
        own = sorted(
            (row for row in rows if row.channel == number), key=lambda row: places[row.slice_id]
        )
        channels.append(
            StoredChannel(
                tuple(found[row.sha256] for row in own), tuple(row.rescale for row in own)
            )
        )
    return tuple(channels)
