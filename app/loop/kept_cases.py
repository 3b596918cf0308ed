"""Cases as they are kept, for whoever writes them out."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import VolumeInvalid
from app.core.geometry import Geometry
from app.core.pixels import decode
from app.core.rescale import Rescale
from app.core.splits import Split
from app.formats.case import CaseVolume, ChannelStack
from app.store import Case, Image, Label, Mask, Project, Slice, blobs

# What a label map holds where nobody has drawn: no class, so that "unlabelled" is never
# mistaken for background.
UNLABELLED = 255


def labelled_cases(session: Session, project: Project) -> list[Case]:
    """The cases that hold a label, in the order that they came in."""
    labelled = select(Slice.case_id).join(Label, Label.slice_id == Slice.id)
    labelled = labelled.where(Slice.complete.is_(True))
    query = select(Case).where(Case.project_id == project.id, Case.id.in_(labelled))
    return list(session.scalars(query.order_by(Case.id)))


@dataclass(frozen=True)
class KeptCase:
    """A case as it is kept: its volume, with ``UNLABELLED`` where nobody has drawn, and the
    indices of its labelled slices.
    """

    name: str
    split: Split
    volume: CaseVolume
    labelled: list[int]


def read_case(session: Session, project: Project, case: Case) -> KeptCase:
    """A case for a writer. Indices that no slice has are left blank in their places.

    Raises ``VolumeInvalid`` when its slices differ in size.
    """
    slices = session.execute(
        select(Slice, Mask.sha256)
        .outerjoin(Label, Label.slice_id == Slice.id)
        .outerjoin(Mask, Mask.id == Label.mask_id)
        .where(Slice.case_id == case.id, Slice.complete.is_(True))
        .order_by(Slice.index)
    ).all()
    sizes = {(one.height, one.width) for one, _ in slices}
    if len(sizes) != 1:
        found = ", ".join(f"{width} × {height}" for height, width in sorted(sizes)) or "none"
        raise VolumeInvalid(
            f"the slices of case {case.name!r} differ in size ({found}): no volume can hold them"
        )
    first, last = slices[0][0].index, slices[-1][0].index
    shape = (last - first + 1, *sizes.pop())
    places = {one.id: one.index - first for one, _ in slices}
    classes = np.full(shape, UNLABELLED, dtype=np.uint8)
    masks = blobs.get_many(session, {sha256 for _, sha256 in slices if sha256})
    for one, sha256 in slices:
        if sha256:
            classes[places[one.id]] = decode(masks[sha256])
    return KeptCase(
        name=case.name,
        split=case.split,
        volume=CaseVolume(
            channels=tuple(
                _stack(session, places, shape, number) for number in range(len(project.channels))
            ),
            classes=classes,
            geometry=Geometry.of_list(case.affine),
            first_index=first,
            source=case.source,
        ),
        labelled=[one.index for one, sha256 in slices if sha256],
    )


def _stack(
    session: Session, places: dict[int, int], shape: tuple[int, int, int], channel: int
) -> ChannelStack:
    """One channel of a case; a blank place holds stored zeros."""
    rows = session.scalars(
        select(Image).where(Image.slice_id.in_(places), Image.channel == channel)
    ).all()
    found = blobs.get_many(session, {row.sha256 for row in rows})
    deep = any(row.bits == 16 for row in rows)
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    pixels = np.zeros(shape, dtype=np.uint16) if deep else np.zeros(shape, dtype=np.uint8)
    ways: list[Rescale] = [rows[0].rescale] * shape[0]
    for row in rows:
        pixels[places[row.slice_id]] = decode(found[row.sha256])
        ways[places[row.slice_id]] = row.rescale
    return ChannelStack(pixels, tuple(ways) if len(set(ways)) > 1 else (ways[0],))
