"""Slices and their channels, on their way in. Every step can be repeated."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.core.errors import AlreadyExists, ImageNotGreyscale, InvalidInput, NotFound
from app.core.geometry import Geometry
from app.core.names import checked_case_name
from app.core.pixels import decode
from app.core.prepared import LARGEST_INDEX, PreparedImage, PreparedSlice
from app.core.rescale import Rescale
from app.core.splits import Split
from app.loop.access import Reader, allow
from app.store import Case, Image, Project, Role, Slice, blobs

# A database takes only so many parameters in one query.
_IDS_AT_ONCE = 500


def ensure_case(
    session: Session,
    project: Project,
    name: str,
    split: Split,
    geometry: Geometry | None = None,
    source: dict[str, Any] | None = None,
) -> Case:
    """The case of that name, made if need be. Raises ``AlreadyExists`` when its split differs."""
    checked_case_name(name)
    found = session.scalar(select(Case).where(Case.project_id == project.id, Case.name == name))
    if found is None:
        found = Case(
            project_id=project.id,
            name=name,
            split=split,
            affine=geometry.to_list() if geometry else None,
            source=source or {},
        )
        session.add(found)
        session.flush()
    if found.split is not split:
        raise AlreadyExists(
            f"the case {name!r} is in the split {found.split}, not {split}: "
            "splits are by case, so that no patient is in two of them"
        )
    return found


def channel_number(project: Project, name: str | None) -> int:
    """The place of a channel among the project's. Raises ``InvalidInput``."""
    if name is None and len(project.channels) == 1:
        return 0
    if name not in project.channels:
        asked = "name its channel" if name is None else f"there is no channel {name[:60]!r}: choose"
        raise InvalidInput(f"{asked}, one of {', '.join(project.channels)}")
    return project.channels.index(name)


def by_channel(
    project: Project, name: str | None, planes: Sequence[PreparedImage]
) -> dict[int, PreparedImage]:
    """The planes of a picture by their channels. Raises ``InvalidInput``, ``ImageNotGreyscale``."""
    if len(planes) == 1:
        return {channel_number(project, name): planes[0]}
    if len(project.channels) != len(planes):
        raise ImageNotGreyscale(
            f"the picture is in colour, and project {project.name!r} has the channels "
            f"{', '.join(project.channels)}: make a project with three channels, such as red, "
            "green and blue, or send one grey channel"
        )
    if name is not None:
        raise ImageNotGreyscale(
            f"the picture is in colour, which is three channels at once: send it without naming "
            f"the channel {name[:60]!r}, or send that channel in grey"
        )
    return dict(enumerate(planes))


@dataclass(frozen=True)
class AddedSlice:
    """A slice, and whether anything of it is new."""

    slice: Slice
    created: bool


def add_slice(
    session: Session,
    case: Case,
    index: int,
    images: Mapping[int, PreparedImage],
    channels: int = 1,
    same: bool = False,
) -> AddedSlice:
    """Keep channels of a slice, by their places among the ``channels`` of the project.

    The same bytes again at the same place are the same image; ``same``: what is there was
    compared before, outside of a transaction. Raises ``AlreadyExists`` for other
    pixels, ``InvalidInput`` for channels or slices of the case that differ in size.
    """
    if not 0 <= index <= LARGEST_INDEX:
        raise InvalidInput(f"the index {index} is not between 0 and {LARGEST_INDEX}")
    size = next((image.height, image.width) for image in images.values())
    slice_ = session.scalar(select(Slice).where(Slice.case_id == case.id, Slice.index == index))
    known: dict[int, Image] = {}
    if slice_ is None:
        _check_stack(session, case, index, size)
        slice_ = Slice(
            project_id=case.project_id,
            case_id=case.id,
            split=case.split,
            index=index,
            height=size[0],
            width=size[1],
        )
        session.add(slice_)
        session.flush()
    else:
        of_slice = select(Image).where(Image.slice_id == slice_.id)
        known = {image.channel: image for image in session.scalars(of_slice)}
    new = {
        number: i
        for number, i in images.items()
        if not (same and number in known) and _is_new(session, i, known.get(number), slice_, case)
    }
    for image in new.values():
        if (image.height, image.width) != (slice_.height, slice_.width):
            raise InvalidInput(
                f"slice {index} of case {case.name!r} is {slice_.width} × {slice_.height} pixels, "
                f"this channel has {image.width} × {image.height}: all channels must agree"
            )
    blobs.put(session, *(image.blob for image in new.values()))
    session.add_all(_row(slice_, number, image) for number, image in new.items())
    if 0 in new:
        slice_.appearance = new[0].appearance
    slice_.complete = len({*known, *new}) == channels
    session.flush()
    return AddedSlice(slice_, bool(new))


def add_slices(
    session: Session, case: Case, slices: Sequence[PreparedSlice], channels: int
) -> dict[int, int]:
    """Keep slices at places of a case that are known to be empty; their ids by index.

    ``channels``: how many the project has. Inserted as rows, not as objects: an import brings
    thousands.
    """
    if not slices:
        return {}
    rows = []
    for one in slices:
        if not 0 <= one.index <= LARGEST_INDEX:
            raise InvalidInput(f"the index {one.index} is not between 0 and {LARGEST_INDEX}")
        first = next(iter(one.images.values()))
        rows.append(
            {
                "project_id": case.project_id,
                "case_id": case.id,
                "split": case.split,
                "index": one.index,
                "height": first.height,
                "width": first.width,
                "complete": len(one.images) == channels,
                "appearance": one.images[0].appearance if 0 in one.images else None,
            }
        )
    inserted = session.execute(insert(Slice).returning(Slice.index, Slice.id), rows)
    ids = {index: slice_id for index, slice_id in inserted}
    blobs.put(session, *(image.blob for one in slices for image in one.images.values()))
    images = [
        _columns(ids[one.index], number, image)
        for one in slices
        for number, image in one.images.items()
    ]
    session.execute(insert(Image), images)
    return ids


def _check_stack(session: Session, case: Case, index: int, size: tuple[int, int]) -> None:
    """A case is one stack: raise ``InvalidInput`` for a slice of another size than its first."""
    first = session.execute(
        select(Slice.height, Slice.width, Slice.index)
        .where(Slice.case_id == case.id)
        .order_by(Slice.index)
        .limit(1)
    ).one_or_none()
    if first is not None and (first.height, first.width) != size:
        raise InvalidInput(
            f"slice {index} of case {case.name!r} is {size[1]} × {size[0]} pixels, but slice "
            f"{first.index} of that case is {first.width} × {first.height}: a case is one stack, "
            "so use another case, or bring the slices to one size"
        )


def _is_new(
    session: Session, image: PreparedImage, known: Image | None, slice_: Slice, case: Case
) -> bool:
    if known is None:
        return True
    same = image.blob.sha256 == known.sha256 or image.upload_sha256 == known.upload_sha256
    if same and known.unit is None:
        known.unit = image.rescale.unit
    if not same and not same_values(session, image, known.sha256, known.rescale):
        raise AlreadyExists(
            f"slice {slice_.index} of case {case.name!r} is there already with other pixels "
            f"(id {slice_.id}): use another index or another case"
        )
    return False


def same_values(session: Session, image: PreparedImage, sha256: str, rescale: Rescale) -> bool:
    """Whether a picture stands for the values of one that is kept, to half a step of the coarser.

    Earlier versions packed pixels otherwise, and rounded what is exact now. It decodes, so it is
    asked only where bytes differ.
    """
    before = decode(blobs.get(session, sha256))
    now = decode(image.blob.data)
    if before.shape != now.shape:
        return False
    if rescale == image.rescale:
        return np.array_equal(before, now)
    # A step of 1 is of whole numbers, which were never rounded.
    coarser = 0.0 if rescale.slope == 1.0 else max(abs(rescale.slope), abs(image.rescale.slope))
    apart = np.abs(rescale.values(before) - image.rescale.values(now)).max()
    return bool(apart <= 0.51 * coarser)


def _row(slice_: Slice, channel: int, image: PreparedImage) -> Image:
    return Image(**_columns(slice_.id, channel, image))


def _columns(slice_id: int, channel: int, image: PreparedImage) -> dict[str, Any]:
    return {
        "slice_id": slice_id,
        "channel": channel,
        "sha256": image.blob.sha256,
        "upload_sha256": image.upload_sha256,
        "bits": image.bits,
        "offset": image.rescale.offset,
        "slope": image.rescale.slope,
        "intercept": image.rescale.intercept,
        "unit": image.rescale.unit,
        "mean": image.moments.mean,
        "mean_square": image.moments.mean_square,
    }


def find_slice(
    session: Session, reader: Reader, slice_id: int, role: Role, anew: bool = False
) -> Slice:
    """The slice of that id, in whose project the reader's role includes ``role``.

    ``anew``: as it is now, if it was read before. Raises ``NotFound``, ``NotAllowed``.
    """
    found = session.get(Slice, slice_id, populate_existing=anew)
    missing = f"there is no slice {slice_id}"
    if found is None:
        raise NotFound(missing)
    allow(session, reader, found.project_id, role, missing)
    return found


def still_there(session: Session, slice_ids: Collection[int]) -> set[int]:
    """Of these slices, those that were not deleted; they stay until the transaction ends."""
    found: set[int] = set()
    ordered = sorted(slice_ids)
    for start in range(0, len(ordered), _IDS_AT_ONCE):
        some = Slice.id.in_(ordered[start : start + _IDS_AT_ONCE])
        query = select(Slice.id).where(some).order_by(Slice.id)
        found |= set(session.scalars(query.with_for_update(read=True, key_share=True)))
    return found


def slice_image(
    session: Session, reader: Reader, slice_id: int, channel: str | None
) -> tuple[bytes, str]:
    """One channel of a slice as PNG, and its sha256; the first that is in when none is named.

    Raises ``NotFound``, ``InvalidInput``.
    """
    slice_ = find_slice(session, reader, slice_id, Role.VIEWER)
    project = session.get_one(Project, slice_.project_id)
    of_slice = select(Image).where(Image.slice_id == slice_id).order_by(Image.channel)
    if channel is not None:
        of_slice = of_slice.where(Image.channel == channel_number(project, channel))
    image = session.scalars(of_slice.limit(1)).first()
    if image is None:
        raise NotFound(
            f"slice {slice_id} has no channel {channel!r} yet: it was not posted or imported"
        )
    return blobs.get(session, image.sha256), image.sha256
