"""How each exported mask came about: who drew it when, from what, and what reviewers said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.loop.kept_cases import KeptCase
from app.store import Account, ModelVersion, Review


@dataclass(frozen=True)
class Provenance:
    """One mask that went out.

    ``index``: of its slice in the case; ``place``: in the order of the case, from 0, in the
    volume that was written. ``reading``: whether it went out as that reader's, beside the labels.
    """

    case: str
    split: str
    index: int
    place: int
    reading: bool
    mask: int
    annotator: str
    revision: int
    source: str
    origin: str | None
    suggestion_model: int | None
    created_at: datetime
    seconds: float | None
    late: bool
    foreground_pixels: int
    review: str
    reviewer: str | None
    reviewed_at: datetime | None
    sha256: str


def provenance_of(session: Session, kept: KeptCase) -> list[Provenance]:
    """Of each mask of a case, in the order that they go out."""
    masks = [chosen.mask for chosen in kept.masks]
    reviews = _last_reviews(session, [mask.id for mask in masks])
    models = {mask.suggestion_model_id for mask in masks} - {None}
    query = select(ModelVersion.id, ModelVersion.number).where(ModelVersion.id.in_(models))
    numbers = {id_: number for id_, number in session.execute(query)} if models else {}
    case = kept.case
    places = {index: case.place(n) for n, index in enumerate(case.indices)}
    found = []
    for chosen in kept.masks:
        mask = chosen.mask
        reviewer, reviewed_at = reviews.get(mask.id, (None, None))
        found.append(
            Provenance(
                case=case.name,
                split=case.split.value,
                index=chosen.slice.index,
                place=places[chosen.slice.index],
                reading=chosen.reader is not None,
                mask=mask.id,
                annotator=mask.author.name,
                revision=mask.revision,
                source=mask.source.value,
                origin=mask.origin.value if mask.origin else None,
                suggestion_model=numbers.get(mask.suggestion_model_id or 0),
                created_at=mask.created_at,
                seconds=mask.seconds,
                late=mask.late,
                foreground_pixels=mask.foreground_pixels,
                review=mask.review_state.value,
                reviewer=reviewer,
                reviewed_at=reviewed_at,
                sha256=mask.sha256,
            )
        )
    return found


# A database takes only so many parameters in one query.
_AT_ONCE = 500


def _last_reviews(session: Session, masks: Sequence[int]) -> dict[int, tuple[str, datetime]]:
    """By mask, who reviewed it last, and when."""
    found: dict[int, tuple[str, datetime]] = {}
    for start in range(0, len(masks), _AT_ONCE):
        rows = session.execute(
            select(Review.mask_id, Account.name, Review.created_at)
            .join(Account, Account.id == Review.reviewer_id)
            .where(Review.mask_id.in_(masks[start : start + _AT_ONCE]))
            .order_by(Review.id)
        )
        found |= {mask_id: (name, at) for mask_id, name, at in rows}
    return found
