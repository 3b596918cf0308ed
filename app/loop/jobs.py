"""Jobs as people see them: asked for, listed, cancelled. ``claims`` is the workers' side."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from app.core.errors import JobFinished, NotFound, NothingLabelled
from app.core.splits import Split
from app.loop import claims
from app.loop.access import Reader, allow
from app.loop.audit import record
from app.loop.claims import STEP_TRAIN, TRAIN_QUEUE, cancel_children, end
from app.loop.paging import Page, paginate
from app.loop.projects import lock_project
from app.store import (
    ACTIVE_STATES,
    Account,
    Job,
    JobKind,
    JobState,
    Label,
    Project,
    Role,
    Slice,
    database_now,
)


def request_retrain(session: Session, project: Project, by: Account | None) -> Job:
    """The project's retraining: the active one, or a new one. Raises ``NothingLabelled``.

    Where a person asks, one that waits to be tried again does not wait any longer.
    """
    # The lock makes two requests at once see each other; the unique index is the last word.
    lock_project(session, project.id)
    active = active_job(session, project.id)
    if active is not None:
        if by is not None:
            _try_now(session, active, by)
        return active
    if not has_label(session, project):
        raise NothingLabelled(
            f"project {project.name!r} has no labelled slice in its pool: "
            "draw and submit a mask first"
        )
    job = Job(
        project_id=project.id,
        kind=JobKind.RETRAIN,
        queue=TRAIN_QUEUE,
        step=STEP_TRAIN,
        # Scored and selected by what held at its start, though an admin may change it meanwhile.
        payload={"query": project.query},
        created_by=by.id if by else None,
        announced_at=database_now(session),
    )
    session.add(job)
    session.flush()
    record(session, "job.create", by, project.id, job=job.id)
    return job


def _try_now(session: Session, job: Job, by: Account) -> None:
    """Let a retraining, or those of its shards that failed, be tried again without a pause."""
    of_job = or_(Job.id == job.id, Job.parent_id == job.id)
    paused = select(Job).where(of_job, Job.state == JobState.QUEUED, Job.retry_at.is_not(None))
    found = session.scalars(paused.order_by(Job.id).with_for_update()).all()
    for one in found:
        claims.try_now(one)
    if found:
        record(session, "job.retry", by, job.project_id, job=job.id)


def has_label(session: Session, project: Project) -> bool:
    """Whether there is anything to train on: a labelled slice of the pool, all channels in."""
    trainable = exists().where(
        Label.slice_id == Slice.id,
        Slice.project_id == project.id,
        Slice.split == Split.POOL,
        Slice.complete.is_(True),
    )
    return bool(session.scalar(select(trainable)))


def find_job(session: Session, reader: Reader, job_id: int, role: Role, lock: bool = False) -> Job:
    """The job of that id, in whose project the reader's role includes ``role``.

    ``lock``: nobody else changes it until the transaction ends. Raises ``NotFound``,
    ``NotAllowed``.
    """
    query = select(Job).where(Job.id == job_id)
    job = session.scalar(query.with_for_update() if lock else query)
    missing = f"there is no job {job_id}"
    if job is None:
        raise NotFound(missing)
    allow(session, reader, job.project_id, role, missing)
    return job


def request_cancel(session: Session, reader: Reader, job_id: int) -> Job:
    """Ask a job to stop. Raises ``NotFound``, ``NotAllowed``, ``JobFinished``.

    What no worker holds ends here; a running one is asked, and stops at its next step.
    """
    job = find_job(session, reader, job_id, Role.ADMIN, lock=True)
    if job.state not in ACTIVE_STATES:
        raise JobFinished(f"job {job_id} has ended already: {job.state}")
    job.cancel_requested = True
    if job.state is not JobState.RUNNING:
        end(job, JobState.CANCELLED)
        cancel_children(session, job)
    record(session, "job.cancel", reader.account, job.project_id, job=job.id)
    return job


@dataclass(frozen=True)
class JobView:
    """A job as its watchers see it.

    ``failures``: how often its step has failed by now; ``retry_at``: when it is tried again.
    """

    id: int
    kind: JobKind
    state: JobState
    step: str
    attempt: int
    cancel_requested: bool
    progress: dict[str, Any]
    error: str | None
    failures: int
    retry_at: datetime | None
    worker: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def list_jobs(session: Session, project: Project, cursor: int | None, limit: int) -> Page[JobView]:
    """A page of the project's jobs, without the shards."""
    query = select(Job).where(Job.project_id == project.id, Job.parent_id.is_(None))
    return paginate(session, query, Job.id, cursor, limit, lambda job: view(session, job))


def active_job(session: Session, project_id: int) -> Job | None:
    """The project's retraining that is not ended, if there is one."""
    return session.scalar(
        select(Job).where(
            Job.project_id == project_id, Job.parent_id.is_(None), Job.state.in_(ACTIVE_STATES)
        )
    )


def last_job(session: Session, project_id: int) -> Job | None:
    """The project's newest retraining."""
    return session.scalar(
        select(Job)
        .where(Job.project_id == project_id, Job.parent_id.is_(None))
        .order_by(Job.id.desc())
        .limit(1)
    )


def last_succeeded(session: Session, project_id: int) -> bool:
    """Whether the project's newest retraining ended well."""
    job = last_job(session, project_id)
    return job is not None and job.state is JobState.SUCCEEDED


def failing(session: Session, job: Job) -> Job | None:
    """Which of a job and its shards has failed and is, or will be, tried again; or has ended so.

    None where nothing is wrong.
    """
    if job.error is not None:
        return job
    if job.state is not JobState.WAITING:
        return None
    shards = select(Job).where(
        Job.parent_id == job.id, Job.state.in_(ACTIVE_STATES), Job.error.is_not(None)
    )
    return session.scalar(shards.order_by(Job.retry_at.is_(None), Job.retry_at, Job.id).limit(1))


def view(session: Session, job: Job) -> JobView:
    """A job as its watchers see it: the shards' counts are added up into its progress, and what
    is wrong with one of them is shown as its own.
    """
    progress = dict(job.progress)
    failed = failing(session, job) or job
    shards = session.scalars(select(Job.progress).where(Job.parent_id == job.id)).all()
    if shards:
        progress["slices_scored"] = sum(s.get("slices_scored", 0) for s in shards)
    return JobView(
        id=job.id,
        kind=job.kind,
        state=job.state,
        step=job.step,
        attempt=job.attempt,
        cancel_requested=job.cancel_requested,
        progress=progress,
        error=failed.error,
        failures=failed.failures,
        retry_at=failed.retry_at,
        worker=job.worker,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )
