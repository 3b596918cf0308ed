"""Slices, truths and ready masks on their way into the store. Every step can be repeated."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, contains_eager

from app.core.errors import AlreadyExists, InvalidInput, NotFound
from app.core.names import checked_name
from app.core.pixels import Pixels, digest, encode, encode_image
from app.core.splits import Split
from app.core.variety import appearance
from app.loop.access import named_account
from app.loop.labels import elect_label
from app.loop.paging import Page, paginate
from app.store import (
    Case,
    Label,
    Mask,
    MaskSource,
    Project,
    ReviewState,
    Role,
    Slice,
    SliceImage,
    Truth,
)


def ensure_case(
    session: Session,
    project: Project,
    name: str,
    split: Split,
    source: dict[str, Any] | None = None,
) -> Case:
    """The case of that name, made if need be. Raises ``AlreadyExists`` when its split differs."""
    checked_name("case", name)
    found = session.scalar(select(Case).where(Case.project_id == project.id, Case.name == name))
    if found is None:
        found = Case(project_id=project.id, name=name, split=split, source=source or {})
        session.add(found)
        session.flush()
    if found.split is not split:
        raise AlreadyExists(
            f"the case {name!r} is in the split {found.split}, not {split}: "
            "splits are by case, so that no patient is in two of them"
        )
    return found


def add_slice(
    session: Session,
    case: Case,
    index: int,
    pixels: Pixels,
    upload: bytes | None = None,
) -> tuple[Slice, bool]:
    """Keep a slice; returns it and whether it is new.

    pixels: (H, W) uint8 or uint16. ``upload`` are the bytes it came in, if it came alone: the
    same again at the same place is the same slice. Raises ``AlreadyExists`` for other pixels.
    """
    if not 0 <= index <= 100_000:
        raise InvalidInput(f"the index {index} is not between 0 and 100000")
    encoded = encode_image(pixels)
    upload_sha256 = encoded.sha256 if upload is None else digest(upload)
    found = session.scalar(select(Slice).where(Slice.case_id == case.id, Slice.index == index))
    if found is not None:
        if encoded.sha256 != found.sha256 and upload_sha256 != found.upload_sha256:
            raise AlreadyExists(
                f"slice {index} of case {case.name!r} is there already with other pixels "
                f"(id {found.id}): use another index or another case"
            )
        return found, False
    new = Slice(
        project_id=case.project_id,
        case_id=case.id,
        split=case.split,
        index=index,
        height=encoded.height,
        width=encoded.width,
        bits=encoded.bits,
        upload_sha256=upload_sha256,
        sha256=encoded.sha256,
        mean=encoded.mean,
        mean_square=encoded.mean_square,
        appearance=appearance(pixels).tobytes(),
    )
    session.add(new)
    session.flush()
    session.add(SliceImage(slice_id=new.id, png=encoded.png))
    return new, True


def add_truth(session: Session, slice_: Slice, classes: Pixels) -> None:
    """Hide the ground truth of a slice for the oracle. classes: (H, W) indices."""
    if session.get(Truth, slice_.id) is None:
        session.add(Truth(slice_id=slice_.id, png=encode(classes)))


def add_imported_mask(session: Session, slice_: Slice, classes: Pixels) -> None:
    """Keep a mask that came with the data, accepted. classes: (H, W) indices."""
    if session.get(Label, slice_.id) is not None:
        return
    png = encode(classes)
    author = named_account(session, "import", Role.ANNOTATOR)
    session.add(
        Mask(
            slice_id=slice_.id,
            author_id=author.id,
            revision=1,
            source=MaskSource.IMPORT,
            foreground_pixels=int((classes > 0).sum()),
            upload_sha256=digest(png),
            sha256=digest(png),
            review_state=ReviewState.ACCEPTED,
            png=png,
        )
    )
    session.flush()
    elect_label(session, slice_)


def find_slice(session: Session, slice_id: int) -> Slice:
    """The slice of that id. Raises ``NotFound``."""
    found = session.get(Slice, slice_id)
    if found is None:
        raise NotFound(f"there is no slice {slice_id}")
    return found


def slice_image(session: Session, slice_id: int) -> tuple[bytes, str]:
    """A slice's PNG and its sha256. Raises ``NotFound``."""
    found = find_slice(session, slice_id)
    image = session.get_one(SliceImage, found.id)
    return image.png, found.sha256


def list_slices(
    session: Session, project: Project, case: str | None, cursor: int | None, limit: int
) -> Page[Slice]:
    """A page of the project's slices, or of one case's, with their cases loaded."""
    query = (
        select(Slice)
        .join(Slice.case)
        .options(contains_eager(Slice.case))
        .where(Slice.project_id == project.id)
    )
    if case is not None:
        query = query.where(Case.name == case)
    return paginate(session, query, Slice.id, cursor, limit, lambda s: s)
