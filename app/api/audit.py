"""The installation's audit trail: what belongs to no project, deleted projects among it."""

from app.api.dependencies import DEFAULT_LIMIT, Cursor, InstallationAdmin, Limit, Reading
from app.api.limits import Router
from app.api.projects import Newest
from app.api.schemas.base import Page, page_of
from app.api.schemas.projects import EventOut
from app.loop.audit import list_events

router = Router(tags=["accounts"])


@router.get("/events")
def events(
    session: Reading,
    admin: InstallationAdmin,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
    newest: Newest = False,
) -> Page[EventOut]:
    """Who did what when, outside of projects: tokens, and projects that were deleted.

    Of a deleted project's own entries only a digest of what they said is left.
    """
    return page_of(EventOut, list_events(session, None, cursor, limit, newest))
