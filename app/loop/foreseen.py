"""What a change will need of masks' pixels, computed before its transaction begins."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select

from app.core.derived import Agreement, Answers, Question, Together
from app.core.prepared import PreparedMask
from app.core.project_settings import QuerySettings, query_settings
from app.loop.access import Reader, role_in
from app.loop.masks import check_classes, find_mask, is_unasked, last_of
from app.loop.readings import newest_of, newest_readings, readings_of
from app.loop.slices import find_slice
from app.store import Database, Mask, Project, ReviewState, Role, Slice, blobs


def before_submission(
    database: Database, reader: Reader, slice_id: int, drawn: PreparedMask
) -> Answers:
    """What a new mask of a slice is compared and joined with.

    Raises ``NotFound``, ``NotAllowed``, ``MaskShapeMismatch``, ``ClassUnknown``.
    """
    author, new = reader.account, drawn.blob
    with database.reading() as session:
        slice_ = find_slice(session, reader, slice_id, Role.ANNOTATOR)
        project = session.get_one(Project, slice_.project_id)
        check_classes(slice_, project, drawn)
        settings = query_settings(project)
        readings = newest_readings(session, slice_id)
        others = [mask.sha256 for mask in readings if mask.author_id != author.id]
        role = role_in(session, reader, project.id) or Role.VIEWER
        if is_unasked(session, slice_id, author, role, last_of(session, author, slice_id)):
            # It changes nothing yet.
            asked = _together([mask.sha256 for mask in readings], settings)
        else:
            asked = [Agreement.between(new.sha256, one, len(project.classes)) for one in others]
            asked += _together([*others, new.sha256], settings)
    found = Answers()
    _answer(database, found, asked, {new.sha256: new.data})
    return found


def before_review(
    database: Database, reader: Reader, mask_id: int, verdict: ReviewState
) -> Answers:
    """What the readings of a slice say together after a verdict on one of them.

    Raises ``NotFound``, ``NotAllowed``.
    """
    with database.reading() as session:
        slice_id = find_mask(session, reader, mask_id, Role.REVIEWER).slice_id
        left = newest_of(readings_of(session, slice_id), {mask_id: verdict})
        project = session.get_one(Project, session.get_one(Slice, slice_id).project_id)
        asked = _together([mask.sha256 for mask in left], query_settings(project))
    found = Answers()
    _answer(database, found, asked)
    return found


def before_rules(database: Database, project: Project, query: Mapping[str, Any]) -> Answers:
    """What readings say together under other settings: of each slice that several have read."""
    found, now = Answers(), query_settings(project)
    try:
        settings = QuerySettings.model_validate({**project.query, **query})
    except ValidationError:
        # Refused where it is changed.
        return found
    if settings.labels_by == now.labels_by:
        return found
    with database.reading() as session:
        several = session.scalars(
            select(Mask.slice_id)
            .join(Slice, Slice.id == Mask.slice_id)
            .where(Slice.project_id == project.id)
            .group_by(Mask.slice_id)
            .having(func.count(Mask.author_id.distinct()) > 1)
            .order_by(Mask.slice_id)
        ).all()
    for slice_id in several:
        with database.reading() as session:
            masks = [mask.sha256 for mask in newest_readings(session, slice_id)]
        _answer(database, found, _together(masks, settings))
    return found


def _together(masks: list[str], settings: QuerySettings) -> list[Question]:
    """The consensus of a slice, if its readers are all in and more than one is asked."""
    if settings.readers_per_slice == 1 or len(masks) < settings.readers_per_slice:
        return []
    return [Together.of(masks, settings.consensus)]


def _answer(
    database: Database,
    found: Answers,
    asked: list[Question],
    at_hand: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    def bodies(hashes: set[str]) -> Mapping[str, bytes]:
        with database.reading() as session:
            return {**blobs.get_many(session, hashes - at_hand.keys()), **at_hand}

    found.find(asked, bodies)
