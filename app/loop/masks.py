"""Masks on their way in, and as they are shown. No submitted mask is ever lost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.core.errors import (
    ClassUnknown,
    InvalidInput,
    MaskShapeMismatch,
    NotAllowed,
    NotFound,
    SliceIncomplete,
)
from app.core.prepared import PreparedMask
from app.core.splits import Split
from app.loop.access import IMPORT_ACCOUNT, Reader, allow, role_in
from app.loop.accounts import program_account
from app.loop.audit import record
from app.loop.labels import elect_label
from app.loop.leases import held_lease, was_handed
from app.loop.paging import Page, paginate
from app.loop.projects import lock_project
from app.loop.readings import compare
from app.loop.retraining import retrain_if_due
from app.loop.rounds import open_round
from app.loop.slices import find_slice
from app.loop.suggestions import was_removed
from app.store import (
    Account,
    Job,
    Label,
    LeaseOutcome,
    Mask,
    MaskOrigin,
    MaskSource,
    Project,
    ReviewState,
    Role,
    Slice,
    Suggestion,
    blobs,
)


@dataclass(frozen=True)
class Making:
    """How a mask came about, as its annotator's page tells it.

    ``suggestion``: the model whose suggestion it began with; ``blank``: it was said that the slice
    holds no target; ``seconds``: active drawing.
    """

    seconds: float | None = None
    suggestion: int | None = None
    blank: bool = False


@dataclass(frozen=True)
class Submission:
    """A kept mask, whether it is new, and the retraining that it made due."""

    mask: Mask
    created: bool
    job: Job | None


def submit_mask(
    session: Session,
    reader: Reader,
    slice_id: int,
    drawn: PreparedMask,
    now: datetime,
    making: Making | None = None,
    source: MaskSource = MaskSource.HUMAN,
) -> Submission:
    """Keep an annotator's mask of a slice.

    The author's last bytes again are the same mask. Without a lease the mask is kept as a
    late, further reading; of a slice that its author was never handed it counts once a reviewer
    has accepted it. Raises ``NotFound``, ``NotAllowed``, ``MaskShapeMismatch``, ``ClassUnknown``,
    ``InvalidInput``, ``SliceIncomplete``.
    """
    account, making = reader.account, making or Making()
    # The lock, and then once more: it may have been deleted while we waited.
    lock_project(session, find_slice(session, reader, slice_id, Role.ANNOTATOR).project_id)
    slice_ = find_slice(session, reader, slice_id, Role.ANNOTATOR, anew=True)
    project = session.get_one(Project, slice_.project_id)
    role = role_in(session, reader, project.id) or Role.VIEWER
    _check_authority(slice_, role, source)
    if not slice_.complete:
        raise SliceIncomplete(
            f"slice {slice_id} has not all of its channels ({', '.join(project.channels)}) yet: "
            "its mask is drawn on all of them, so post the others first"
        )
    check_classes(slice_, project, drawn)
    if making.seconds is not None and not 0 <= making.seconds <= 86_400:
        raise InvalidInput(f"seconds is {making.seconds}: give the time spent drawing, 0 to 86400")
    open_round(session, project)
    last = last_of(session, account, slice_id)
    if last is not None and making.suggestion is None and drawn.foreground_pixels:
        # A revision of a mask that began with a suggestion began with it too.
        making = replace(making, suggestion=last.suggestion_model_id)
    origin = _origin(session, slice_, drawn, making)
    lease = held_lease(session, slice_id, account, now)
    if lease is not None:
        lease.ended_at, lease.outcome = now, LeaseOutcome.SUBMITTED
    unasked = is_unasked(session, slice_id, account, role, last)
    if last is not None and last.upload_sha256 == drawn.upload_sha256:
        if last.unasked and not unasked:
            # Drawn before it was asked for: it counts from now on.
            last.unasked, last.late = False, lease is None
            session.flush()
            compare(session, last, len(project.classes))
            elect_label(session, slice_)
            record(session, "mask.submit", account, project.id, slice=slice_id, mask=last.id)
            return Submission(last, False, retrain_if_due(session, project))
        return Submission(last, False, None)
    mask = Mask(
        slice_id=slice_id,
        author_id=account.id,
        revision=last.revision + 1 if last else 1,
        source=source,
        origin=origin,
        suggestion_model_id=making.suggestion,
        late=last.late if last and lease is None else lease is None,
        unasked=unasked,
        seconds=making.seconds,
        foreground_pixels=drawn.foreground_pixels,
        upload_sha256=drawn.upload_sha256,
        sha256=drawn.blob.sha256,
        created_at=now,
    )
    blobs.put(session, drawn.blob)
    session.add(mask)
    session.flush()
    if not mask.unasked:
        # Nobody is told how far what nobody asked for agrees with others' readings.
        compare(session, mask, len(project.classes))
    elect_label(session, slice_)
    record(session, "mask.submit", account, project.id, slice=slice_id, mask=mask.id)
    return Submission(mask, True, retrain_if_due(session, project))


def is_unasked(
    session: Session, slice_id: int, author: Account, role: Role, last: Mask | None
) -> bool:
    """Whether a further mask of a slice counts only once a reviewer has accepted it."""
    # A revision of a mask that counts, counts.
    return (
        (last is None or last.unasked)
        and not role.includes(Role.REVIEWER)
        and not was_handed(session, slice_id, author)
    )


def _check_authority(slice_: Slice, role: Role, source: MaskSource) -> None:
    """Raise ``NotAllowed`` for masks that only a project's admin may set."""
    if role is Role.ADMIN:
        return
    if slice_.split is not Split.POOL:
        raise NotAllowed(
            f"slice {slice_.id} is of the split {slice_.split}, on which models are judged: "
            "an admin of the project sets its masks, or an import does"
        )
    if source is not MaskSource.HUMAN:
        raise NotAllowed(f"the source {source} says that nobody drew it: that is an admin's to say")


def check_size(slice_: Slice, height: int, width: int) -> None:
    """Raise ``MaskShapeMismatch`` for a mask of another size than its slice."""
    if (height, width) != (slice_.height, slice_.width):
        raise MaskShapeMismatch(
            f"the mask is {width} × {height} pixels, slice {slice_.id} is "
            f"{slice_.width} × {slice_.height}: draw on the slice at its full size"
        )


def check_classes(slice_: Slice, project: Project, drawn: PreparedMask) -> None:
    """Raise ``MaskShapeMismatch`` or ``ClassUnknown`` for a mask that cannot be the slice's."""
    check_size(slice_, drawn.height, drawn.width)
    if drawn.highest >= len(project.classes):
        raise ClassUnknown(
            f"the mask holds the class index {drawn.highest}, but {project.name!r} has only "
            f"0 to {len(project.classes) - 1} ({', '.join(project.classes)}): "
            "send class indices, not grey values"
        )


def _origin(session: Session, slice_: Slice, drawn: PreparedMask, making: Making) -> MaskOrigin:
    """How a mask came about: what its page said, held against the mask and the suggestion."""
    if making.blank and drawn.foreground_pixels:
        raise InvalidInput(
            f"the mask was said to be blank and holds {drawn.foreground_pixels} pixels of a "
            "class: one of the two is wrong"
        )
    same = False
    if making.suggestion is not None:
        suggested = session.get(Suggestion, (making.suggestion, slice_.id))
        if suggested is None and not was_removed(session, slice_, making.suggestion):
            raise InvalidInput(
                f"model {making.suggestion} has suggested nothing for slice {slice_.id}: "
                "name the model that came with the slice, or none"
            )
        # Both were encoded by us, so equal pixels are equal bytes.
        same = suggested is not None and suggested.mask_sha256 == drawn.blob.sha256
    # What was said counts before what a model suggested.
    if making.blank:
        return MaskOrigin.BLANK
    if making.suggestion is not None:
        return MaskOrigin.ACCEPTED if same else MaskOrigin.CORRECTED
    return MaskOrigin.DRAWN if drawn.foreground_pixels else MaskOrigin.EMPTY


def add_imported_masks(session: Session, drawn: Mapping[int, PreparedMask]) -> None:
    """Keep masks that came with the data, by slice, accepted; a slice that has a label keeps it."""
    labelled = set(session.scalars(select(Label.slice_id).where(Label.slice_id.in_(drawn))))
    read = set(session.scalars(select(Mask.slice_id).where(Mask.slice_id.in_(drawn))))
    new = {slice_id: mask for slice_id, mask in drawn.items() if slice_id not in labelled}
    if not new:
        return
    author = program_account(session, IMPORT_ACCOUNT)
    blobs.put(session, *(mask.blob for mask in new.values()))
    rows = [_imported(slice_id, author, mask) for slice_id, mask in new.items()]
    inserted = session.execute(insert(Mask).returning(Mask.slice_id, Mask.id), rows)
    # Where it is the only mask there is nothing to elect.
    alone = [
        {"slice_id": slice_id, "mask_id": mask_id}
        for slice_id, mask_id in inserted
        if slice_id not in read
    ]
    if alone:
        session.execute(insert(Label), alone)
    for slice_id in new.keys() & read:
        elect_label(session, session.get_one(Slice, slice_id))


def _imported(slice_id: int, author: Account, drawn: PreparedMask) -> dict[str, Any]:
    return {
        "slice_id": slice_id,
        "author_id": author.id,
        "revision": 1,
        "source": MaskSource.IMPORT,
        "origin": MaskOrigin.IMPORTED,
        "foreground_pixels": drawn.foreground_pixels,
        "upload_sha256": drawn.upload_sha256,
        "sha256": drawn.blob.sha256,
        "review_state": ReviewState.ACCEPTED,
    }


def find_mask(session: Session, reader: Reader, mask_id: int, role: Role) -> Mask:
    """A mask that the reader may see. Raises ``NotFound``, ``NotAllowed``.

    Annotators see their own alone, so that readings stay independent; reviewers see all.
    """
    mask, missing = session.get(Mask, mask_id), f"there is no mask {mask_id}"
    if mask is None:
        raise NotFound(missing)
    project_id = session.get_one(Slice, mask.slice_id).project_id
    has = allow(session, reader, project_id, role, missing)
    if mask.author_id != reader.account.id and not has.includes(Role.REVIEWER):
        raise NotAllowed(f"mask {mask_id} is another annotator's: reviewers may see it")
    return mask


def shown_mask(session: Session, reader: Reader, slice_id: int) -> Mask:
    """The mask of a slice that a reader is shown: their own last, or to reviewers the label."""
    label = session.get(Label, slice_id) if _sees_all(session, reader, slice_id) else None
    mask = label.mask if label else last_of(session, reader.account, slice_id)
    if mask is None:
        raise NotFound(f"slice {slice_id} has no mask that {reader.account.name!r} may see")
    return mask


def list_masks(
    session: Session, reader: Reader, slice_id: int, cursor: int | None, limit: int
) -> Page[Mask]:
    """A page of the masks of a slice that the reader may see, oldest first."""
    query = select(Mask).where(Mask.slice_id == slice_id)
    if not _sees_all(session, reader, slice_id):
        query = query.where(Mask.author_id == reader.account.id)
    return paginate(session, query, Mask.id, cursor, limit, lambda m: m)


def _sees_all(session: Session, reader: Reader, slice_id: int) -> bool:
    """Whether everybody's masks of a slice are a reader's to see. Raises ``NotFound``."""
    project_id = find_slice(session, reader, slice_id, Role.VIEWER).project_id
    role = role_in(session, reader, project_id)
    return role is not None and role.includes(Role.REVIEWER)


def last_of(session: Session, author: Account, slice_id: int) -> Mask | None:
    """An author's newest mask of a slice."""
    return session.scalar(
        select(Mask)
        .where(Mask.slice_id == slice_id, Mask.author_id == author.id)
        .order_by(Mask.revision.desc())
        .limit(1)
    )
