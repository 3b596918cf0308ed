"""Jobs: start, watch, cancel."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import BackgroundTasks, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.orm import Session

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    NamedProject,
    Reading,
    SignedIn,
    Workers,
    Writing,
)
from app.api.event_streams import Stream
from app.api.images import Id
from app.api.limits import Router
from app.api.schemas.base import Page, page_of
from app.api.schemas.jobs import JobCreate, JobOut
from app.core.project_settings import settings_of
from app.loop import jobs
from app.loop.access import HERE
from app.loop.capabilities import check_names
from app.loop.projects import find_project
from app.store import Role

router = Router(prefix="/jobs", tags=["jobs"])


@router.post("", status_code=202)
def create(
    body: JobCreate,
    session: Writing,
    admin: SignedIn,
    workers: Workers,
    background: BackgroundTasks,
) -> JobOut:
    """Retrain with what is labelled. While one is under way, that one is the answer."""
    project = find_project(session, admin, body.project, Role.ADMIN)
    # What nobody can answer for is refused now, not by a job that fails.
    check_names(session, settings_of(project))
    job = jobs.request_retrain(session, project, admin.account)
    background.add_task(workers.wake, [job.queue])
    return JobOut.model_validate(jobs.view(session, job))


@router.get("")
def list_jobs(
    session: Reading,
    viewer: SignedIn,
    project: NamedProject,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[JobOut]:
    """The jobs of a project, oldest first, without their shards."""
    return page_of(JobOut, jobs.list_jobs(session, project, cursor, limit))


@router.get("/{job_id}")
def show(job_id: Id, session: Reading, viewer: SignedIn) -> JobOut:
    """A job: epoch, losses, Dice, slices scored, and its error in full."""
    return JobOut.model_validate(
        jobs.view(session, jobs.find_job(session, viewer, job_id, Role.VIEWER))
    )


@router.post("/{job_id}/cancel", status_code=202)
def cancel(job_id: Id, session: Writing, admin: SignedIn) -> JobOut:
    """Stop a job; a worker that runs it stops at its next step."""
    job = jobs.request_cancel(session, admin, job_id)
    return JobOut.model_validate(jobs.view(session, job))


def _existing(job_id: Id, session: Reading, viewer: SignedIn) -> int:
    return jobs.find_job(session, viewer, job_id, Role.VIEWER).id


@router.get("/{job_id}/events", response_class=EventSourceResponse)
async def events(
    job_id: Annotated[int, Depends(_existing, scope="function")],
    stream: Stream,
) -> AsyncIterator[ServerSentEvent]:
    """A job's progress as server-sent events, one a change, until it has ended."""
    look = partial(_look, job_id=job_id)
    check = partial(jobs.find_job, job_id=job_id, role=Role.VIEWER)
    async for change in stream.follow("job", job_id, look, check):
        yield change


def _look(session: Session, job_id: int) -> JobOut:
    job = jobs.find_job(session, HERE, job_id, Role.VIEWER)
    return JobOut.model_validate(jobs.view(session, job))
