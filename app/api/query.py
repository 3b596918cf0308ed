"""The next slices, and the leases on them."""

from typing import Annotated

from fastapi import BackgroundTasks, Query, Response

from app.api.dependencies import Changing, LeaseTtl, ProjectName, SignedIn, Workers, Writing
from app.api.images import Id
from app.api.limits import Router
from app.api.schemas.slices import BatchOut, LeaseOut, SkipIn
from app.loop.leases import renew, skip
from app.loop.next_batch import LARGEST_BATCH, next_batch
from app.loop.projects import find_project
from app.store import Role, database_now

router = Router(tags=["query"])


@router.get("/query/next")
def query_next(
    session: Writing,
    annotator: Changing,
    ttl: LeaseTtl,
    workers: Workers,
    background: BackgroundTasks,
    project: ProjectName = None,
    size: Annotated[int, Query(ge=1, le=LARGEST_BATCH)] = 1,
) -> BatchOut:
    """Lease the next slices in rank order; those that the annotator holds come first.

    An empty list says in `message` why it is empty and what will happen next.
    """
    named = find_project(session, annotator, project, Role.ANNOTATOR)
    batch = next_batch(session, named, annotator.account, size, database_now(session), ttl)
    if batch.job is not None:
        background.add_task(workers.wake, [batch.job.queue])
    return BatchOut.of(named.name, batch)


@router.post("/leases/{lease_id}/renew")
def renew_lease(lease_id: Id, session: Writing, annotator: SignedIn, ttl: LeaseTtl) -> LeaseOut:
    """Keep a slice for another while."""
    return LeaseOut.model_validate(renew(session, annotator, lease_id, database_now(session), ttl))


@router.delete("/leases/{lease_id}", status_code=204, response_class=Response)
def skip_slice(
    lease_id: Id,
    session: Writing,
    annotator: SignedIn,
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
    job = skip(session, annotator, lease_id, given, database_now(session))
    if job is not None:
        background.add_task(workers.wake, [job.queue])
    return Response(status_code=204)
