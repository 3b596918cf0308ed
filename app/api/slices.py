"""Slices: posting them, and their pictures."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Header, Query, Response

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Admin,
    Annotator,
    CurrentDatabase,
    CurrentSettings,
    Cursor,
    ImageBody,
    LeaseTtl,
    Limit,
    Reading,
    Workers,
    Writing,
)
from app.api.images import PNG_RESPONSES, Id, IfNoneMatch, png_response
from app.api.schemas import MaskOut, Page, SliceOut
from app.core.pixels import decode_upload, digest
from app.core.splits import Split
from app.loop.ingest import add_slice, ensure_case, list_slices, slice_image
from app.loop.leases import renewal_due, touch
from app.loop.projects import find_project
from app.loop.submit import find_suggestion, list_masks, shown_mask, submit_mask
from app.store import Account, Database, MaskSource, Slice, utc_now

router = APIRouter(tags=["slices"])
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/png", "image/tiff")
        },
    }
}


def _slice_out(slice_: Slice) -> SliceOut:
    return SliceOut(
        id=slice_.id,
        case=slice_.case.name,
        index=slice_.index,
        split=slice_.split,
        height=slice_.height,
        width=slice_.width,
        bits=slice_.bits,
        sha256=slice_.sha256,
        image=f"/slices/{slice_.id}/image",
    )


@router.post(
    "/projects/{name}/slices",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"model": SliceOut, "description": "The slice was there already."}},
)
def post_slice(
    name: str,
    case: Annotated[str, Query(description="Patient or volume.", examples=["patient-007"])],
    index: Annotated[int, Query(ge=0, le=100_000, description="Place of the slice in its case.")],
    admin: Admin,
    body: ImageBody,
    session: Writing,
    settings: CurrentSettings,
    response: Response,
    split: Split = Split.POOL,
) -> SliceOut:
    """Add a slice from a greyscale PNG or TIFF of 8 or 16 bits; every value is kept exactly."""
    project = find_project(session, name)
    pixels = decode_upload(body, settings.max_image_pixels)
    kept, created = add_slice(
        session, ensure_case(session, project, case, split), index, pixels, body
    )
    response.status_code = 201 if created else 200
    return _slice_out(kept)


@router.get("/projects/{name}/slices", response_model=Page[SliceOut])
def show_slices(
    name: str,
    session: Reading,
    reader: Annotator,
    case: str | None = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Any:
    """The slices of a project, or of one case of it."""
    page = list_slices(session, find_project(session, name), case, cursor, limit)
    return {"items": [_slice_out(s) for s in page.items], "next": page.next}


@router.get("/slices/{slice_id}/image", response_class=Response, responses=PNG_RESPONSES)
def image(
    slice_id: Id,
    session: Reading,
    database: CurrentDatabase,
    reader: Annotator,
    ttl: LeaseTtl,
    background: BackgroundTasks,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The slice at its full bit depth. Looking at it renews the reader's lease on it."""
    if renewal_due(session, slice_id, reader, utc_now(), ttl):
        background.add_task(_touch, database, slice_id, reader, ttl)
    png, sha256 = slice_image(session, slice_id)
    return png_response(png, sha256, if_none_match)


def _touch(database: Database, slice_id: int, reader: Account, ttl: timedelta) -> None:
    with database.writing() as session:
        touch(session, slice_id, reader, utc_now(), ttl)


@router.get("/slices/{slice_id}/suggestion", response_class=Response, responses=PNG_RESPONSES)
def suggestion(
    slice_id: Id, session: Reading, reader: Annotator, if_none_match: IfNoneMatch = None
) -> Response:
    """The model's mask as class indices."""
    png = find_suggestion(session, slice_id).mask_png
    return png_response(png, digest(png), if_none_match)


@router.get("/slices/{slice_id}/uncertainty", response_class=Response, responses=PNG_RESPONSES)
def uncertainty(
    slice_id: Id, session: Reading, reader: Annotator, if_none_match: IfNoneMatch = None
) -> Response:
    """The uncertainty map, 0 to 255 for none to the measure's highest possible value."""
    png = find_suggestion(session, slice_id).uncertainty_png
    return png_response(png, digest(png), if_none_match)


@router.get("/slices/{slice_id}/masks", response_model=None, responses=PNG_RESPONSES)
def masks(
    slice_id: Id,
    session: Reading,
    reader: Annotator,
    if_none_match: IfNoneMatch = None,
    accept: Annotated[str, Header()] = "*/*",
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response | Page[MaskOut]:
    """The mask that the reader is shown, as PNG; with `Accept: application/json` the list.

    Annotators see their own masks alone, reviewers all of them.
    """
    if "application/json" in accept:
        page = list_masks(session, slice_id, reader, cursor, limit)
        return Page(items=[MaskOut.of(m) for m in page.items], next=page.next)
    mask = shown_mask(session, slice_id, reader)
    return png_response(mask.png, mask.sha256, if_none_match)


@router.post(
    "/slices/{slice_id}/masks",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"model": MaskOut, "description": "The mask was there already."}},
)
def post_mask(
    slice_id: Id,
    author: Annotator,
    body: ImageBody,
    session: Writing,
    settings: CurrentSettings,
    workers: Workers,
    background: BackgroundTasks,
    response: Response,
    seconds: Annotated[float | None, Query(description="Time spent drawing.")] = None,
    source: Annotated[
        Literal["human", "oracle"], Query(description="Who drew it: oracle is a simulation.")
    ] = "human",
) -> MaskOut:
    """Keep a mask of class indices. After 201 it survives any crash; late masks are kept too."""
    classes = decode_upload(body, settings.max_image_pixels)
    kept = submit_mask(
        session, author, slice_id, body, classes, utc_now(), seconds, MaskSource(source)
    )
    if kept.job is not None:
        background.add_task(workers.wake, [kept.job.queue])
    response.status_code = 201 if kept.created else 200
    return MaskOut.of(kept.mask)
