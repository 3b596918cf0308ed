"""The reviewers' queue, and how annotators fare."""

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Reading,
    SignedIn,
)
from app.api.limits import Router
from app.api.projects import Name
from app.api.schemas.base import Page
from app.api.schemas.masks import AnnotatorDay
from app.api.schemas.slices import ToReviewOut
from app.loop.annotator_days import annotator_days
from app.loop.projects import find_project
from app.loop.reviews import to_review
from app.store import Role

router = Router(prefix="/projects", tags=["reviews"])


@router.get("/{name}/reviews")
def show_reviews(
    name: Name,
    session: Reading,
    reviewer: SignedIn,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ToReviewOut]:
    """Slices whose readings are all in and of which nothing was accepted yet."""
    project = find_project(session, reviewer, name, Role.REVIEWER)
    page = to_review(session, project, cursor, limit)
    return Page(items=[ToReviewOut.of_found(found) for found in page.items], next=page.next)


@router.get("/{name}/annotators")
def show_annotators(name: Name, session: Reading, viewer: SignedIn) -> list[AnnotatorDay]:
    """Masks, drawing time, rejections and agreement per annotator and day (UTC).

    Annotators see their own days alone.
    """
    days = annotator_days(session, viewer, find_project(session, viewer, name, Role.VIEWER))
    return [AnnotatorDay.model_validate(day) for day in days]
