"""The reviewers' queue, and how annotators fare."""

from typing import Any

from fastapi import APIRouter

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Annotator,
    Cursor,
    Limit,
    Reading,
    Reviewer,
)
from app.api.projects import Name
from app.api.schemas import AnnotatorDay, MaskOut, Page, ReviewComment, ToReviewOut
from app.loop.projects import find_project
from app.loop.reviews import ToReview, annotator_days, to_review

router = APIRouter(prefix="/projects", tags=["reviews"])


@router.get("/{name}/reviews")
def show_reviews(
    name: Name,
    session: Reading,
    reviewer: Reviewer,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ToReviewOut]:
    """Slices whose readings are all in and of which nothing was accepted yet."""
    page = to_review(session, find_project(session, name), cursor, limit)
    return Page(items=[_out(found) for found in page.items], next=page.next)


def _out(found: ToReview) -> ToReviewOut:
    slice_ = found.slice
    return ToReviewOut(
        slice=slice_.id,
        case=slice_.case.name,
        index=slice_.index,
        height=slice_.height,
        width=slice_.width,
        stream=found.stream,
        image=f"/slices/{slice_.id}/image",
        suggestion=f"/slices/{slice_.id}/suggestion" if found.suggested else None,
        readings=[MaskOut.of(mask) for mask in found.readings],
        comments=[
            ReviewComment(mask=c.mask_id, verdict=c.verdict, comment=c.comment, at=c.created_at)
            for c in found.comments
        ],
    )


@router.get("/{name}/annotators", response_model=list[AnnotatorDay])
def show_annotators(name: Name, session: Reading, reader: Annotator) -> Any:
    """Masks, drawing time, rejections and agreement per annotator and day (UTC).

    Annotators see their own days alone.
    """
    return annotator_days(session, find_project(session, name), reader)
