"""Masks on their way in, and what reviewers say of them. No submitted mask is ever lost."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import (
    ClassUnknown,
    InvalidInput,
    MaskShapeMismatch,
    NotAllowed,
    NotFound,
)
from app.core.pixels import Pixels, digest, encode
from app.loop.access import record
from app.loop.ingest import find_slice
from app.loop.labels import elect_label
from app.loop.leases import held_lease
from app.loop.paging import Page, paginate
from app.loop.readings import compare, newest_readings
from app.loop.rounds import ask_again, open_round, retrain_if_due
from app.store import (
    Account,
    Job,
    Label,
    LeaseOutcome,
    Mask,
    MaskSource,
    Project,
    Review,
    ReviewState,
    Role,
    Slice,
    Suggestion,
)


@dataclass(frozen=True)
class Submission:
    """A kept mask, whether it is new, and the retraining that it made due."""

    mask: Mask
    created: bool
    job: Job | None


def submit_mask(
    session: Session,
    account: Account,
    slice_id: int,
    body: bytes,
    classes: Pixels,
    now: datetime,
    seconds: float | None = None,
    source: MaskSource = MaskSource.HUMAN,
) -> Submission:
    """Keep an annotator's mask of a slice; classes: (H, W) indices, ``body`` what they came in.

    The author's last bytes again are the same mask. Without a lease the mask is kept as a
    late, further reading. Raises ``NotFound``, ``MaskShapeMismatch``, ``ClassUnknown``.
    """
    slice_ = find_slice(session, slice_id)
    project = session.get_one(Project, slice_.project_id)
    check_classes(slice_, project, classes)
    if seconds is not None and not 0 <= seconds <= 86_400:
        raise InvalidInput(f"seconds is {seconds}: give the time spent drawing, 0 to 86400")
    round_ = open_round(session, project)
    last = _last_of(session, account, slice_id)
    upload_sha256 = digest(body)
    lease = held_lease(session, slice_id, account, now)
    if lease is not None:
        lease.ended_at, lease.outcome = now, LeaseOutcome.SUBMITTED
    if last is not None and last.upload_sha256 == upload_sha256:
        return Submission(last, False, None)
    png = encode(classes.astype(np.uint8))
    mask = Mask(
        slice_id=slice_id,
        author_id=account.id,
        revision=last.revision + 1 if last else 1,
        source=source,
        late=last.late if last and lease is None else lease is None,
        seconds=seconds,
        foreground_pixels=int((classes > 0).sum()),
        upload_sha256=upload_sha256,
        sha256=digest(png),
        png=png,
        created_at=now,
    )
    session.add(mask)
    session.flush()
    compare(session, mask, len(project.classes))
    elect_label(session, slice_)
    record(session, "mask.submit", account, project.id, slice=slice_id, mask=mask.id)
    return Submission(mask, True, retrain_if_due(session, round_) if round_ else None)


def check_classes(slice_: Slice, project: Project, classes: Pixels) -> None:
    """Raise ``MaskShapeMismatch`` or ``ClassUnknown`` for a mask that cannot be the slice's."""
    if classes.shape != (slice_.height, slice_.width):
        height, width = classes.shape
        raise MaskShapeMismatch(
            f"the mask is {width} × {height} pixels, slice {slice_.id} is "
            f"{slice_.width} × {slice_.height}: draw on the slice at its full size"
        )
    highest = int(classes.max())
    if highest >= len(project.classes):
        raise ClassUnknown(
            f"the mask holds the class index {highest}, but {project.name!r} has only "
            f"0 to {len(project.classes) - 1} ({', '.join(project.classes)}): "
            "send class indices, not grey values"
        )


def find_mask(session: Session, mask_id: int, reader: Account) -> Mask:
    """A mask that the reader may see. Raises ``NotFound``, ``NotAllowed``.

    Annotators see their own alone, so that readings stay independent; reviewers see all.
    """
    mask = session.get(Mask, mask_id)
    if mask is None:
        raise NotFound(f"there is no mask {mask_id}")
    if mask.author_id != reader.id and not reader.role.includes(Role.REVIEWER):
        raise NotAllowed(f"mask {mask_id} is another annotator's: reviewers may see it")
    return mask


def shown_mask(session: Session, slice_id: int, reader: Account) -> Mask:
    """The mask of a slice that a reader is shown: their own last, or to reviewers the label."""
    find_slice(session, slice_id)
    label = session.get(Label, slice_id) if reader.role.includes(Role.REVIEWER) else None
    mask = label.mask if label else _last_of(session, reader, slice_id)
    if mask is None:
        raise NotFound(f"slice {slice_id} has no mask that {reader.name!r} may see")
    return mask


def list_masks(
    session: Session, slice_id: int, reader: Account, cursor: int | None, limit: int
) -> Page[Mask]:
    """A page of the masks of a slice that the reader may see, oldest first."""
    find_slice(session, slice_id)
    query = select(Mask).where(Mask.slice_id == slice_id)
    if not reader.role.includes(Role.REVIEWER):
        query = query.where(Mask.author_id == reader.id)
    return paginate(session, query, Mask.id, cursor, limit, lambda m: m)


def find_suggestion(session: Session, slice_id: int) -> Suggestion:
    """The newest model's suggestion for a slice. Raises ``NotFound``."""
    find_slice(session, slice_id)
    found = session.scalar(
        select(Suggestion)
        .where(Suggestion.slice_id == slice_id)
        .order_by(Suggestion.model_id.desc())
        .limit(1)
    )
    if found is None:
        raise NotFound(
            f"no model has suggested anything for slice {slice_id}: "
            "suggestions are made for the batch of a round after the first"
        )
    return found


def review_mask(
    session: Session,
    reviewer: Account,
    mask_id: int,
    verdict: ReviewState,
    comment: str,
) -> Submission:
    """Accept or reject a mask. Raises ``NotFound``, ``InvalidInput``."""
    mask = find_mask(session, mask_id, reviewer)
    if verdict is ReviewState.REJECTED and not comment.strip():
        raise InvalidInput("a rejection needs a comment: its author must know what to change")
    slice_ = session.get_one(Slice, mask.slice_id)
    round_ = open_round(session, session.get_one(Project, slice_.project_id))
    judged = [mask]
    if mask.source is MaskSource.CONSENSUS and verdict is ReviewState.REJECTED:
        # What they say together is refused: each of the readers is to look again.
        judged += newest_readings(session, slice_.id)
    for one in judged:
        session.add(
            Review(mask_id=one.id, reviewer_id=reviewer.id, verdict=verdict, comment=comment)
        )
        one.review_state = verdict
    session.flush()
    elect_label(session, slice_)
    if round_ is not None and verdict is ReviewState.REJECTED:
        ask_again(session, round_)
    record(
        session,
        "mask.review",
        reviewer,
        slice_.project_id,
        mask=mask_id,
        verdict=verdict.value,
        comment=comment,
    )
    return Submission(mask, False, retrain_if_due(session, round_) if round_ else None)


def _last_of(session: Session, author: Account, slice_id: int) -> Mask | None:
    return session.scalar(
        select(Mask)
        .where(Mask.slice_id == slice_id, Mask.author_id == author.id)
        .order_by(Mask.revision.desc())
        .limit(1)
    )
