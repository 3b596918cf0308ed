"""Slices: posting them, and their pictures."""

from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import BackgroundTasks, Header, Query, Response

from app.api.deleting import Confirm, Deletes
from app.api.dependencies import (
    DEFAULT_LIMIT,
    LARGEST_ID,
    CurrentDatabase,
    Cursor,
    EvenArchived,
    LeaseTtl,
    Limit,
    Looks,
    MayDraw,
    ProjectAdmin,
    Reading,
    SignedIn,
    Workers,
    Writing,
)
from app.api.images import PNG_RESPONSES, Id, IfNoneMatch, png_response
from app.api.limits import Router
from app.api.schemas.base import Page
from app.api.schemas.deletions import DeletionOut
from app.api.schemas.masks import MaskOut
from app.api.schemas.slices import SliceOut
from app.api.uploads import MaskBody, PictureBody
from app.core.prepared import LARGEST_INDEX
from app.core.splits import Split
from app.loop.audit import record
from app.loop.deletions import of_slice
from app.loop.leases import renewal_due, touch
from app.loop.masks import Making, list_masks, shown_mask, submit_mask
from app.loop.projects import find_project, lock_project
from app.loop.readings import use_answers
from app.loop.retraining import retrain_if_due
from app.loop.slice_views import list_slices, show_slice
from app.loop.slices import (
    add_slice,
    by_channel,
    ensure_case,
    slice_image,
)
from app.loop.suggestions import find_suggestion
from app.seen import SLICES
from app.store import Account, Database, MaskSource, Role, blobs, database_now

router = Router(tags=["slices"])
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/png", "image/tiff")
        },
    }
}


@router.post(
    "/projects/{name}/slices",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"model": SliceOut, "description": "The slice was there already."}},
)
def post_slice(
    name: str,
    case: Annotated[str, Query(description="Patient or volume.", examples=["patient-007"])],
    index: Annotated[int, Query(ge=0, le=LARGEST_INDEX, description="Its place in the case.")],
    admin: ProjectAdmin,
    picture: PictureBody,
    session: Writing,
    workers: Workers,
    background: BackgroundTasks,
    response: Response,
    split: Split = Split.POOL,
    channel: Annotated[
        str | None, Query(description="Of the project's; may be left out when it has one.")
    ] = None,
) -> SliceOut:
    """Add a slice, or one channel of it, from a PNG or TIFF; every value is kept exactly.

    Grey of 8 or 16 bits; colour where the project has three channels for it. `missing` in the
    reply names the channels that the slice waits for.
    """
    project = find_project(session, admin, name, Role.ADMIN)
    images = by_channel(project, channel, picture.planes)
    # Before any row is written, as everywhere: two requests never wait for each other.
    lock_project(session, project.id)
    kept_case = ensure_case(session, project, case, split)
    added = add_slice(session, kept_case, index, images, len(project.channels))
    if added.created:
        record(session, "slice.add", admin.account, project.id, slice=added.slice.id)
    job = retrain_if_due(session, project) if added.created and added.slice.complete else None
    if job is not None:
        background.add_task(workers.wake, [job.queue])
    response.status_code = 201 if added.created else 200
    return SliceOut.of(show_slice(session, admin, added.slice.id))


@router.get("/projects/{name}/slices")
def show_slices(
    name: str,
    session: Reading,
    viewer: SignedIn,
    case: str | None = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[SliceOut]:
    """The slices of a project, or of one case of it."""
    project = find_project(session, viewer, name, Role.VIEWER)
    page = list_slices(session, project, case, cursor, limit)
    return Page(items=[SliceOut.of(s) for s in page.items], next=page.next)


@router.get("/slices/{slice_id}")
def show(slice_id: Id, session: Reading, viewer: SignedIn) -> SliceOut:
    """One slice without its pixels."""
    return SliceOut.of(show_slice(session, viewer, slice_id))


@router.delete("/slices/{slice_id}")
async def delete_slice(
    slice_id: Id,
    admin: EvenArchived,
    deletes: Deletes,
    background: BackgroundTasks,
    confirm: Confirm = None,
) -> DeletionOut:
    """Delete a slice with all that was drawn, scored and said of it; the last takes its case along.

    Without `confirm`, CASE/INDEX of the slice, nothing is deleted: the reply counts what would go.
    """
    return await deletes(
        partial(of_slice, reader=admin, slice_id=slice_id), admin, confirm, background
    )


@router.get("/slices/{slice_id}/image", response_class=Response, responses=PNG_RESPONSES)
def image(
    slice_id: Id,
    session: Reading,
    database: CurrentDatabase,
    viewer: SignedIn,
    looks: Looks,
    ttl: LeaseTtl,
    background: BackgroundTasks,
    channel: Annotated[str | None, Query(description="Without one, the first.")] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A channel at its full bit depth. Looking at it renews the viewer's lease on the slice."""
    if renewal_due(session, slice_id, viewer.account, database_now(session), ttl):
        background.add_task(_touch, database, slice_id, viewer.account, ttl)
    png, sha256 = slice_image(session, viewer, slice_id, channel)
    looks.note(SLICES, viewer, slice_id)
    return png_response(png, sha256, if_none_match)


def _touch(database: Database, slice_id: int, viewer: Account, ttl: timedelta) -> None:
    with database.writing() as session:
        touch(session, slice_id, viewer, database_now(session), ttl)


@router.get("/slices/{slice_id}/suggestion", response_class=Response, responses=PNG_RESPONSES)
def suggestion(
    slice_id: Id, session: Reading, viewer: SignedIn, if_none_match: IfNoneMatch = None
) -> Response:
    """The model's mask as class indices."""
    name = find_suggestion(session, viewer, slice_id).mask_sha256
    return png_response(blobs.get(session, name), name, if_none_match)


@router.get("/slices/{slice_id}/uncertainty", response_class=Response, responses=PNG_RESPONSES)
def uncertainty(
    slice_id: Id, session: Reading, viewer: SignedIn, if_none_match: IfNoneMatch = None
) -> Response:
    """The uncertainty map, 0 to 255 for none to the measure's highest possible value."""
    name = find_suggestion(session, viewer, slice_id).uncertainty_sha256
    return png_response(blobs.get(session, name), name, if_none_match)


@router.get("/slices/{slice_id}/masks", response_model=None, responses=PNG_RESPONSES)
def masks(
    slice_id: Id,
    session: Reading,
    viewer: SignedIn,
    looks: Looks,
    if_none_match: IfNoneMatch = None,
    accept: Annotated[str, Header()] = "*/*",
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response | Page[MaskOut]:
    """The mask that the viewer is shown, as PNG; with `Accept: application/json` the list.

    Annotators see their own masks alone, reviewers all of them.
    """
    if "application/json" in accept:
        page = list_masks(session, viewer, slice_id, cursor, limit)
        return Page(items=[MaskOut.of(m) for m in page.items], next=page.next)
    mask = shown_mask(session, viewer, slice_id)
    looks.note(SLICES, viewer, slice_id)
    return png_response(blobs.get(session, mask.sha256), mask.sha256, if_none_match)


@router.post(
    "/slices/{slice_id}/masks",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"model": MaskOut, "description": "The mask was there already."}},
)
def post_mask(
    slice_id: Id,
    author: MayDraw,
    drawn: MaskBody,
    session: Writing,
    workers: Workers,
    background: BackgroundTasks,
    response: Response,
    seconds: Annotated[float | None, Query(description="Time spent drawing.")] = None,
    suggestion: Annotated[
        int | None,
        Query(ge=1, le=LARGEST_ID, description="The model whose suggestion it was begun with."),
    ] = None,
    blank: Annotated[
        bool, Query(description="It was said that the slice holds no target.")
    ] = False,
    source: Annotated[
        Literal["human", "oracle"], Query(description="Who drew it: oracle is a simulation.")
    ] = "human",
) -> MaskOut:
    """Keep a mask of class indices. After 201 it survives any crash; late masks are kept too."""
    making = Making(seconds, suggestion, blank)
    use_answers(session, drawn.answers)
    kept = submit_mask(
        session, author, slice_id, drawn.mask, database_now(session), making, MaskSource(source)
    )
    if kept.job is not None:
        background.add_task(workers.wake, [kept.job.queue])
    response.status_code = 201 if kept.created else 200
    return MaskOut.of(kept.mask)
