"""Rounds: the history of the loop."""

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Maps,
    NamedProject,
    Reading,
    SignedIn,
)
from app.api.images import Id
from app.api.limits import Router
from app.api.schemas.base import Page, page_of
from app.api.schemas.rounds import MapOut, RoundItemOut, RoundOut
from app.loop import round_history
from app.loop.pool_maps import MapState

router = Router(tags=["rounds"])


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
    return page_of(
        RoundItemOut, round_history.round_items(session, viewer, round_id, cursor, limit)
    )


@router.get("/rounds/{round_id}/map")
def show_map(round_id: Id, session: Reading, viewer: SignedIn, drawer: Maps) -> MapOut:
    """The pool in the plane (t-SNE of the model's features), by state and by what asked for it.

    Drawn when it is asked for first, in seconds, and kept: until then it has no points and is
    `drawing`. Empty for the first round, which has no model, and for strategies that score nothing.
    """
    found = round_history.round_map(session, viewer, round_id)
    if found.state is MapState.DRAWING:
        drawer.ask(round_id)
    return MapOut.model_validate(found)
