"""What a change will need of masks' pixels, computed before its transaction begins."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.derived import ANSWERS, Agreement, Question, Together
from app.core.prepared import PreparedMask
from app.core.project_settings import QuerySettings, query_settings
from app.loop.access import Reader
from app.loop.masks import find_mask
from app.loop.readings import newest_of, newest_readings, readings_of
from app.store import Database, Mask, Project, ReviewState, Role, Slice, blobs

# Questions whose masks are held at a time.
_AT_ONCE = 20


def before_submission(
    database: Database, reader: Reader, slice_id: int, drawn: PreparedMask
) -> None:
    """What a new mask of a slice, which its author may draw on, is compared and joined with."""
    with database.reading() as session:
        author, readings = reader.account.id, newest_readings(session, slice_id)
        others = [mask.sha256 for mask in readings if mask.author_id != author]
        project = _project_of(session, slice_id)
        asked: list[Question] = [
            Agreement.between(drawn.blob.sha256, other, len(project.classes)) for other in others
        ]
        asked += _together([*others, drawn.blob.sha256], query_settings(project))
    _answer(database, asked, {drawn.blob.sha256: drawn.blob.data})


def before_review(database: Database, reader: Reader, mask_id: int, verdict: ReviewState) -> None:
    """What the readings of a slice say together after a verdict on one of them.

    Raises ``NotFound``, ``NotAllowed``.
    """
    with database.reading() as session:
        slice_id = find_mask(session, reader, mask_id, Role.REVIEWER).slice_id
        left = newest_of(readings_of(session, slice_id), {mask_id: verdict})
        settings = query_settings(_project_of(session, slice_id))
        asked = _together([mask.sha256 for mask in left], settings)
    _answer(database, asked)


def before_rules(database: Database, project: Project, query: Mapping[str, Any]) -> None:
    """What readings say together under other settings: of each slice that several have read."""
    now = query_settings(project)
    # What cannot be used is refused where it is changed.
    readers = query.get("readers_per_slice", now.readers_per_slice)
    if not isinstance(readers, int):
        return
    settings = now.model_copy(update={"readers_per_slice": readers})
    if (settings.readers_per_slice, query.get("review", now.review)) == (
        now.readers_per_slice,
        now.review,
    ):
        return
    with database.reading() as session:
        several = session.scalars(
            select(Mask.slice_id)
            .join(Slice, Slice.id == Mask.slice_id)
            .where(Slice.project_id == project.id)
            .group_by(Mask.slice_id)
            .having(func.count(Mask.author_id.distinct()) > 1)
        ).all()
        asked = [
            question
            for slice_id in several
            for question in _together(
                [mask.sha256 for mask in newest_readings(session, slice_id)], settings
            )
        ]
    _answer(database, asked)


def _project_of(session: Session, slice_id: int) -> Project:
    return session.get_one(Project, session.get_one(Slice, slice_id).project_id)


def _together(masks: list[str], settings: QuerySettings) -> list[Question]:
    """The consensus of a slice, if its readers are all in and more than one is asked."""
    if settings.readers_per_slice == 1 or len(masks) < settings.readers_per_slice:
        return []
    return [Together.of(masks, settings.consensus)]


def _answer(
    database: Database, asked: list[Question], at_hand: Mapping[str, bytes] = MappingProxyType({})
) -> None:
    def bodies(hashes: set[str]) -> Mapping[str, bytes]:
        with database.reading() as session:
            return {**blobs.get_many(session, hashes - at_hand.keys()), **at_hand}

    for first in range(0, len(asked), _AT_ONCE):
        ANSWERS.find(asked[first : first + _AT_ONCE], bodies)
