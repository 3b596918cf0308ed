"""The next slices, and the leases on them."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Response

from app.api.dependencies import Annotator, LeaseTtl, ProjectName, Workers, Writing
from app.api.images import Id
from app.api.schemas import BatchOut, ItemOut, LeaseOut, ReturnedOut, SkipIn
from app.loop.leases import renew, skip
from app.loop.projects import find_project
from app.loop.query import LARGEST_BATCH, HandedOut, next_batch
from app.store import utc_now

router = APIRouter(tags=["query"])


def _item_out(handed: HandedOut) -> ItemOut:
    item = handed.item
    path = f"/slices/{item.slice_id}"
    return ItemOut(
        slice=item.slice_id,
        case=item.slice.case.name,
        index=item.slice.index,
        height=item.slice.height,
        width=item.slice.width,
        rank=item.rank,
        stream=item.stream,
        score=item.score,
        image=f"{path}/image",
        suggestion=f"{path}/suggestion" if handed.suggested else None,
        uncertainty=f"{path}/uncertainty" if handed.suggested else None,
        lease=LeaseOut.model_validate(handed.lease),
        returned=ReturnedOut.model_validate(handed.returned) if handed.returned else None,
    )


@router.get("/query/next")
def query_next(
    session: Writing,
    annotator: Annotator,
    ttl: LeaseTtl,
    project: ProjectName = None,
    size: Annotated[int, Query(ge=1, le=LARGEST_BATCH)] = 1,
) -> BatchOut:
    """Lease the next slices in rank order; those that the annotator holds come first.

    An empty list says in `message` why it is empty and what will happen next.
    """
    named = find_project(session, project)
    batch = next_batch(session, named, annotator, size, utc_now(), ttl)
    return BatchOut(
        project=named.name,
        round=batch.round.number if batch.round else None,
        model=batch.round.model_id if batch.round else None,
        items=[_item_out(handed) for handed in batch.items],
        remaining=batch.remaining,
        message=batch.message,
    )


@router.post("/leases/{lease_id}/renew")
def renew_lease(lease_id: Id, session: Writing, annotator: Annotator, ttl: LeaseTtl) -> LeaseOut:
    """Keep a slice for another while."""
    return LeaseOut.model_validate(renew(session, lease_id, annotator, utc_now(), ttl))


@router.delete("/leases/{lease_id}", status_code=204, response_class=Response)
def skip_slice(
    lease_id: Id,
    session: Writing,
    annotator: Annotator,
    workers: Workers,
    background: BackgroundTasks,
    reason: Annotated[str, Query(max_length=1000, examples=["motion artefact"])] = "",
    body: SkipIn | None = None,
) -> Response:
    """Skip a slice, with a reason: it goes to the end of the batch, for others.

    The reason may also come as JSON. Without one the slice is only given back, and keeps its
    place.
    """
    given = (reason or (body.reason if body else "")).strip()
    job = skip(session, lease_id, annotator, given, utc_now())
    if job is not None:
        background.add_task(workers.wake, [job.queue])
    return Response(status_code=204)
