"""Rounds: the history of the loop."""

from fastapi import APIRouter

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    NamedProject,
    Reading,
    SignedIn,
)
from app.api.images import Id
from app.api.schemas.base import Page, page_of
from app.api.schemas.rounds import MapOut, RoundItemOut, RoundOut
from app.loop import round_history

router = APIRouter(tags=["rounds"])


@router.get("/rounds")
def list_rounds(
    session: Reading,
    viewer: SignedIn,
    project: NamedProject,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[RoundOut]:
    """The rounds of a project with their settings, seeds and counts of labels."""
    return page_of(RoundOut, round_history.list_rounds(session, project, cursor, limit))


@router.get("/rounds/{round_id}/items")
def list_items(
    round_id: Id,
    session: Reading,
    viewer: SignedIn,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[RoundItemOut]:
    """A round's batch in rank order: why each slice was asked for, and its mask."""
    return page_of(RoundItemOut, round_history.round_items(session, round_id, cursor, limit))


@router.get("/rounds/{round_id}/map")
def show_map(round_id: Id, session: Reading, viewer: SignedIn) -> MapOut:
    """The pool in the plane (t-SNE of the model's features), by state and by what asked for it.

    Empty for the first round, which has no model, and for strategies that score nothing.
    """
    return MapOut.model_validate(round_history.round_map(session, round_id))
