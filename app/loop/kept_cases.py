"""Cases as they are kept, for whoever writes them out."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.blob import digest
from app.core.errors import VolumeInvalid
from app.core.geometry import Geometry
from app.formats.writer import ExportedCase, Reading, StoredChannel
from app.loop.chosen_masks import ChosenMask, Selection, masks_of_case
from app.store import Case, Image, MaskOrigin, ModelVersion, Project, Slice, blobs


@dataclass(frozen=True)
class KeptCase:
    """A case for a writer, and the masks that went into it."""

    case: ExportedCase
    masks: list[ChosenMask]


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
    masks = masks_of_case(session, project, case_id, chosen)
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
