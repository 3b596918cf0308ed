"""Several annotators' masks of one slice: how alike they are, and what they say together."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from app.core import derived
from app.core.derived import Answers, Spoken, Together
from app.core.pixels import Pixels, decode
from app.core.project_settings import query_settings
from app.loop.access import CONSENSUS_ACCOUNT
from app.loop.accounts import program_account
from app.store import (
    Agreement,
    Label,
    Mask,
    MaskOrigin,
    MaskSource,
    Project,
    ReviewState,
    Slice,
    blobs,
)

# Where a session keeps them.
_ANSWERS = "answers"
_READER_SOURCES = (MaskSource.HUMAN, MaskSource.ORACLE)


def superseded() -> ColumnElement[bool]:
    """SQL: whether a mask's author has drawn the slice anew since."""
    later = aliased(Mask)
    return exists().where(
        later.slice_id == Mask.slice_id,
        later.author_id == Mask.author_id,
        later.revision > Mask.revision,
    )


def is_valid() -> ColumnElement[bool]:
    """SQL: whether a mask is valid: it was accepted, or its author was asked for it, and it is
    their newest and not rejected.
    """
    pending = Mask.review_state == ReviewState.PENDING
    return or_(_accepted(), pending & Mask.unasked.is_(False) & ~superseded())


def _accepted() -> ColumnElement[bool]:
    return Mask.review_state == ReviewState.ACCEPTED


def _reading_of(slice_id: ColumnElement[int]) -> ColumnElement[bool]:
    return and_(Mask.slice_id == slice_id, Mask.source != MaskSource.CONSENSUS, is_valid())


def count_of(slice_id: ColumnElement[int]) -> ColumnElement[int]:
    """SQL: how many annotators have read a slice with a valid mask."""
    return (
        select(func.count(Mask.author_id.distinct()))
        .where(_reading_of(slice_id))
        .correlate_except(Mask)
        .scalar_subquery()
    )


def answered(slice_id: ColumnElement[int], readers: int) -> ColumnElement[bool]:
    """SQL: whether nobody need be asked for a slice: it was read often enough, or has a label."""
    if readers == 1:
        # The same, for most projects and at half of the cost.
        return exists().where(_reading_of(slice_id))
    labelled = select(Label.slice_id).where(Label.slice_id == slice_id).correlate_except(Label)
    return or_(count_of(slice_id) >= readers, labelled.exists())


def readings_of(session: Session, slice_id: int) -> Sequence[Mask]:
    """Every mask that an annotator drew of a slice, oldest first, whatever became of it."""
    return session.scalars(
        select(Mask)
        .where(Mask.slice_id == slice_id, Mask.source.in_(_READER_SOURCES))
        .order_by(Mask.id)
    ).all()


def newest_readings(session: Session, slice_id: int) -> list[Mask]:
    """Each annotator's newest mask of a slice, unless that was rejected; first reader first.

    Of masks that nobody asked for only those that a reviewer accepted.
    """
    return newest_of(readings_of(session, slice_id))


def newest_of(
    masks: Iterable[Mask], verdicts: Mapping[int, ReviewState] = MappingProxyType({})
) -> list[Mask]:
    """The same of masks at hand, oldest first; ``verdicts``: what a reviewer is about to say."""
    newest: dict[int, Mask] = {}
    for mask in masks:
        if not mask.unasked or verdicts.get(mask.id, mask.review_state) is ReviewState.ACCEPTED:
            newest[mask.author_id] = mask
    return [
        mask
        for mask in newest.values()
        if verdicts.get(mask.id, mask.review_state) is not ReviewState.REJECTED
    ]


def use_answers(session: Session, found: Answers) -> None:
    """Let what was found before this transaction be found in it."""
    session.info[_ANSWERS] = found


def answers_of(session: Session) -> Answers:
    """What was found before the transaction, or in it."""
    found: Answers = session.info.setdefault(_ANSWERS, Answers())
    return found


def compare(session: Session, mask: Mask, classes: int) -> None:
    """Note how far a new mask agrees with the other annotators' of its slice."""
    others = [m for m in newest_readings(session, mask.slice_id) if m.author_id != mask.author_id]
    asked = [derived.Agreement.between(mask.sha256, other.sha256, classes) for other in others]
    found = answers_of(session).find(asked, lambda hashes: blobs.get_many(session, hashes))
    session.add_all(
        Agreement(mask_id=mask.id, other_id=other.id, dice=dice)
        for other, dice in zip(others, found, strict=True)
    )


def pixels_of(session: Session, masks: Sequence[Mask]) -> list[Pixels]:
    """The class indices (H, W) of masks, in their order."""
    found = blobs.get_many(session, {mask.sha256 for mask in masks})
    return [decode(found[mask.sha256]) for mask in masks]


def form_consensus(session: Session, slice_: Slice) -> Mask | None:
    """What the readers of a slice say together, once all are in: a mask of its own.

    A revised reading makes a new revision. None while readers are missing, or where one reader
    a slice is all that the project asks for.
    """
    settings = query_settings(session.get_one(Project, slice_.project_id))
    readings = newest_readings(session, slice_.id)
    if settings.readers_per_slice == 1 or len(readings) < settings.readers_per_slice:
        return None
    asked = Together.of([mask.sha256 for mask in readings], settings.consensus)
    spoken: Spoken
    [spoken] = answers_of(session).find([asked], lambda hashes: blobs.get_many(session, hashes))
    blob = spoken.blob
    author = program_account(session, CONSENSUS_ACCOUNT)
    last = session.scalar(
        select(Mask)
        .where(Mask.slice_id == slice_.id, Mask.author_id == author.id)
        .order_by(Mask.revision.desc())
        .limit(1)
    )
    rejected = last is not None and last.review_state is ReviewState.REJECTED
    if last is not None and last.sha256 == blob.sha256 and not rejected:
        return last
    mask = Mask(
        slice_id=slice_.id,
        author_id=author.id,
        revision=last.revision + 1 if last else 1,
        source=MaskSource.CONSENSUS,
        seconds=None,
        foreground_pixels=spoken.foreground_pixels,
        origin=MaskOrigin.COMPUTED,
        upload_sha256=blob.sha256,
        sha256=blob.sha256,
    )
    blobs.put(session, blob)
    session.add(mask)
    session.flush()
    return mask
