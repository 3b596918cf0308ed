"""How annotators fare: what each drew on each day."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.loop.access import Reader, role_in
from app.store import Account, Agreement, Mask, MaskSource, Project, ReviewState, Role, Slice


@dataclass
class AnnotatorDay:
    """What an annotator drew on a day (UTC).

    ``timed``: masks that came with the ``seconds`` they took. ``agreement``: mean Dice with the
    other readers of the same slices.
    """

    account: str
    day: date
    masks: int = 0
    timed: int = 0
    seconds: float = 0.0
    blank: int = 0
    rejected: int = 0
    agreement: float | None = None


def annotator_days(session: Session, reader: Reader, project: Project) -> list[AnnotatorDay]:
    """What each annotator drew on each day (UTC): masks, seconds, rejections, agreement.

    Agreement is the mean Dice with the other readers of the same slices. Annotators are told
    of themselves alone, so that readings stay independent.
    """
    query = (
        select(
            Account.name,
            Mask.id,
            Mask.created_at,
            Mask.seconds,
            Mask.foreground_pixels,
            Mask.review_state,
        )
        .join(Mask, Mask.author_id == Account.id)
        .join(Slice, Slice.id == Mask.slice_id)
        .where(
            Slice.project_id == project.id,
            Mask.source.in_((MaskSource.HUMAN, MaskSource.ORACLE)),
        )
        .order_by(Mask.id)
    )
    role = role_in(session, reader, project.id)
    if role is None or not role.includes(Role.REVIEWER):
        query = query.where(Account.id == reader.account.id)
    alike = _agreements(session, project)
    days: dict[tuple[str, date], AnnotatorDay] = {}
    found: dict[tuple[str, date], list[float]] = defaultdict(list)
    for name, mask_id, created_at, seconds, foreground, state in session.execute(query):
        key = (name, created_at.date())
        day = days.setdefault(key, AnnotatorDay(*key))
        day.masks += 1
        day.timed += seconds is not None
        day.seconds += seconds or 0.0
        day.blank += foreground == 0
        day.rejected += state is ReviewState.REJECTED
        found[key] += alike.get(mask_id, [])
    for key, values in found.items():
        days[key].agreement = sum(values) / len(values) if values else None
    return list(days.values())


def _agreements(session: Session, project: Project) -> dict[int, list[float]]:
    """The Dice values of each mask with others, by either's id."""
    query = (
        select(Agreement)
        .join(Mask, Mask.id == Agreement.mask_id)
        .join(Slice, Slice.id == Mask.slice_id)
        .where(Slice.project_id == project.id)
    )
    alike: dict[int, list[float]] = defaultdict(list)
    for one in session.scalars(query):
        alike[one.mask_id].append(one.dice)
        alike[one.other_id].append(one.dice)
    return alike
