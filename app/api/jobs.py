"""Jobs: start, watch, cancel."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Admin,
    Annotator,
    CurrentDatabase,
    Cursor,
    Limit,
    NamedProject,
    Reading,
    Workers,
    Writing,
)
from app.api.images import Id
from app.api.schemas import JobCreate, JobOut, Page, as_page
from app.loop import jobs
from app.loop.projects import find_project
from app.store import ACTIVE_STATES, Database

router = APIRouter(prefix="/jobs", tags=["jobs"])
_POLL_SECONDS = 0.5


@router.post("", status_code=202, response_model=JobOut)
def create(
    body: JobCreate,
    session: Writing,
    admin: Admin,
    workers: Workers,
    background: BackgroundTasks,
) -> dict[str, Any]:
    """Retrain with what is labelled. While one is under way, that one is the answer."""
    job = jobs.request_retrain(session, find_project(session, body.project), admin)
    background.add_task(workers.wake, [job.queue])
    return jobs.view(session, job)


@router.get("", response_model=Page[JobOut])
def list_jobs(
    session: Reading,
    reader: Annotator,
    project: NamedProject,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Any:
    """The jobs of a project, oldest first, without their shards."""
    return as_page(jobs.list_jobs(session, project, cursor, limit))


@router.get("/{job_id}", response_model=JobOut)
def show(job_id: Id, session: Reading, reader: Annotator) -> dict[str, Any]:
    """A job: epoch, losses, Dice, slices scored, and its error in full."""
    return jobs.view(session, jobs.find_job(session, job_id))


@router.post("/{job_id}/cancel", status_code=202, response_model=JobOut)
def cancel(job_id: Id, session: Writing, admin: Admin) -> dict[str, Any]:
    """Stop a job; a worker that runs it stops at its next step."""
    return jobs.view(session, jobs.request_cancel(session, job_id, admin))


def _existing(job_id: Id, session: Reading, reader: Annotator) -> int:
    return jobs.find_job(session, job_id).id


@router.get("/{job_id}/events", response_class=EventSourceResponse)
async def events(
    job_id: Annotated[int, Depends(_existing, scope="function")],
    database: CurrentDatabase,
) -> AsyncIterator[ServerSentEvent]:
    """A job's progress as server-sent events, one a change, until it has ended."""
    last: dict[str, Any] | None = None
    while True:
        seen = await run_in_threadpool(_look, database, job_id)
        if seen != last:
            last = seen
            yield ServerSentEvent(event="job", data=seen)
        if seen["state"] not in ACTIVE_STATES:
            return
        await asyncio.sleep(_POLL_SECONDS)


def _look(database: Database, job_id: int) -> dict[str, Any]:
    with database.reading() as session:
        view = jobs.view(session, jobs.find_job(session, job_id))
        return JobOut.model_validate(view).model_dump(mode="json")
