"""Holding a job: claimed, kept alive, split, ended once, or taken back.

A worker claims a job by a conditional update that raises ``attempt``; it shows a heartbeat; a
sweep takes back what has none. Every result is written in a transaction that first calls
``hold``, so that a worker that comes back from the dead writes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from app.core.retries import Retries
from app.loop.deliveries import announce
from app.store import ACTIVE_STATES, HookEvent, Job, JobKind, JobState, database_now, utc_now

TRAIN_QUEUE, SCORE_QUEUE = "train", "score"
QUEUES = (TRAIN_QUEUE, SCORE_QUEUE)
STEP_TRAIN, STEP_SCORE, STEP_SELECT = "train", "score", "select"
_LONGEST_RESEND = timedelta(minutes=5)
# No heartbeat is like it.
_UNKNOWN = object()


class ClaimLost(Exception):
    """The job was given to another worker, cancelled or ended: stop, and write nothing."""


@dataclass(frozen=True)
class Claim:
    """A worker's hold on a job, valid while the row shows the same attempt."""

    job_id: int
    attempt: int
    project_id: int
    kind: JobKind
    step: str
    payload: dict[str, Any]


def claim(session: Session, queues: tuple[str, ...], worker: str, now: datetime) -> Claim | None:
    """Take the oldest queued job of these queues, or None."""
    job = session.scalar(
        select(Job)
        .where(Job.state == JobState.QUEUED, Job.retry_at.is_(None), Job.queue.in_(queues))
        .order_by(Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if job is None:
        return None
    job.state = JobState.RUNNING
    job.attempt += 1
    job.worker = worker
    job.heartbeat_at = now
    job.started_at = job.started_at or now
    return Claim(job.id, job.attempt, job.project_id, job.kind, job.step, dict(job.payload))


def _ours(held: Claim) -> tuple[ColumnElement[bool], ...]:
    """SQL: the claimed job, while nobody else was given it."""
    return (
        Job.id == held.job_id,
        Job.attempt == held.attempt,
        Job.state == JobState.RUNNING,
    )


def heartbeat(session: Session, held: Claim, now: datetime) -> None:
    """Show that the worker lives. Raises ``ClaimLost`` when it should stop."""
    row = session.execute(
        update(Job).where(*_ours(held)).values(heartbeat_at=now).returning(Job.cancel_requested)
    ).one_or_none()
    if row is None or row.cancel_requested:
        raise ClaimLost(f"job {held.job_id}, attempt {held.attempt}")


def report(session: Session, held: Claim, progress: dict[str, Any]) -> None:
    """Add to a running job's progress. Raises ``ClaimLost``."""
    job = hold(session, held)
    job.progress = {**job.progress, **progress}


def hold(session: Session, held: Claim) -> Job:
    """The claimed job, locked until the transaction ends. Raises ``ClaimLost``."""
    job = session.scalar(select(Job).where(*_ours(held)).with_for_update())
    if job is None or job.cancel_requested:
        raise ClaimLost(f"job {held.job_id}, attempt {held.attempt}")
    return job


def split(
    session: Session, held: Claim, shards: list[dict[str, Any]], **known: Any
) -> tuple[str, ...]:
    """Turn the job's next step into one child a shard. Returns the queues to announce.

    The parent waits; the last child to end wakes it for the step ``select``, which finds what is
    ``known`` in its payload.
    """
    job = hold(session, held)
    job.payload = {**job.payload, **known}
    # What has gone well is not counted against what comes.
    job.failures, job.error = 0, None
    if not shards:
        return requeue(session, job, STEP_SELECT)
    job.state = JobState.WAITING
    job.step = STEP_SCORE
    job.heartbeat_at = None
    session.add_all(
        Job(
            project_id=job.project_id,
            parent_id=job.id,
            kind=JobKind.SCORE,
            queue=SCORE_QUEUE,
            step=STEP_SCORE,
            payload=payload,
            announced_at=database_now(session),
        )
        for payload in shards
    )
    return (SCORE_QUEUE,)


def finish(session: Session, held: Claim, **progress: Any) -> tuple[str, ...]:
    """End a job well. Returns the queues to announce: a last shard wakes its parent."""
    parent = _locked_parent(session, held.job_id)
    job = hold(session, held)
    job.progress = {**job.progress, **progress}
    end(job, JobState.SUCCEEDED)
    session.flush()
    if parent is None or parent.state is not JobState.WAITING:
        return ()
    return requeue(session, parent, STEP_SELECT) if _all_ended(session, parent) else ()


def fail(session: Session, held: Claim, error: str, retries: Retries | None = None) -> None:
    """Note that a job failed: it waits to be tried again, or ends, and a shard's parent with it.

    ``retries``: how it may be tried again; None for what would only fail again.
    """
    parent = _locked_parent(session, held.job_id)
    _fail(session, hold(session, held), parent, error, retries)


def _fail(
    session: Session, job: Job, parent: Job | None, error: str, retries: Retries | None
) -> None:
    job.failures += 1
    pause = retries.pause(job.failures) if retries is not None else None
    if pause is not None:
        requeue(session, job, job.step)
        job.error, job.lost = error, 0
        job.retry_at = database_now(session) + pause
        return
    end(job, JobState.FAILED, error)
    whole = job
    if parent is not None:
        if parent.state not in ACTIVE_STATES:
            return
        parent.failures = job.failures
        end(parent, JobState.FAILED, f"scoring shard {job.id} failed: {error}")
        cancel_children(session, parent)
        whole = parent
    # Why is not told: it may quote what only the project's people may read.
    announce(session, whole.project_id, HookEvent.JOB_FAILED, job=whole.id, kind=whole.kind)


def confirm_cancel(session: Session, held: Claim) -> None:
    """Note that the worker has stopped, if it was asked to and still holds the job."""
    session.execute(
        update(Job)
        .where(
            *_ours(held),
            Job.cancel_requested,
        )
        .values(state=JobState.CANCELLED, finished_at=utc_now())
    )


def release(session: Session, held: Claim) -> tuple[str, ...]:
    """Give a job back unfinished, for another worker. Returns the queues to announce."""
    try:
        job = hold(session, held)
    except ClaimLost:
        return ()
    return requeue(session, job, job.step)


Beats = Mapping[tuple[int, int], datetime | None]


def beats(session: Session) -> Beats:
    """The last sign of life of every running job, by its id and attempt."""
    query = select(Job.id, Job.attempt, Job.heartbeat_at).where(Job.state == JobState.RUNNING)
    return {(job, attempt): beat for job, attempt, beat in session.execute(query)}


def sweep(
    session: Session,
    now: datetime,
    silent: Beats,
    resend: timedelta,
    max_attempts: int,
    retries: Retries | None = None,
) -> tuple[str, ...]:
    """Take back what a dead worker held, announce again what nobody fetched.

    ``silent``: the running jobs that have shown no life for too long, with the last that they
    showed; one that has shown some since is left alone. What failed and has waited long enough is
    let go on; ``retries``: how what killed its workers is tried again. Returns the queues to
    announce. Safe to run anywhere, at any time, in several places.
    """
    lost = select(Job).where(Job.state == JobState.RUNNING, Job.id.in_([job for job, _ in silent]))
    for job in session.scalars(lost.with_for_update(skip_locked=True)).all() if silent else ():
        if silent.get((job.id, job.attempt), _UNKNOWN) == job.heartbeat_at:
            _take_back(session, job, max_attempts, retries)
    waiting = select(Job).where(Job.state == JobState.WAITING)
    for job in session.scalars(waiting.with_for_update(skip_locked=True)).all():
        if _all_ended(session, job):
            requeue(session, job, STEP_SELECT)
    paused = select(Job).where(Job.state == JobState.QUEUED, Job.retry_at.is_not(None))
    over = paused.where(Job.retry_at <= database_now(session))
    for job in session.scalars(over.with_for_update(skip_locked=True)).all():
        try_now(job)
    session.flush()
    queues = set()
    queued = select(Job).where(Job.state == JobState.QUEUED, Job.retry_at.is_(None))
    for job in session.scalars(queued.with_for_update(skip_locked=True)).all():
        wait = min(resend * 2 ** min(job.announcements, 10), _LONGEST_RESEND)
        if job.announced_at is None or job.announced_at <= now - wait:
            job.announcements = 0 if job.announced_at is None else job.announcements + 1
            job.announced_at = now
            queues.add(job.queue)
    return tuple(sorted(queues))


def try_now(job: Job) -> None:
    """Let a job that waits to be tried again go on; the next sweep announces it."""
    job.retry_at = None
    job.announced_at = None


def _take_back(session: Session, job: Job, max_attempts: int, retries: Retries | None) -> None:
    if job.cancel_requested:
        end(job, JobState.CANCELLED)
        return
    job.lost += 1
    if job.lost >= max_attempts:
        parent = session.get(Job, job.parent_id) if job.parent_id else None
        _fail(
            session,
            job,
            parent,
            f"{job.lost} workers died on it, the last was {job.worker}",
            retries,
        )
        return
    job.state = JobState.QUEUED
    job.heartbeat_at = None
    job.announced_at = None


def requeue(session: Session, job: Job, step: str) -> tuple[str, ...]:
    """Put a job back in the queue, at a step. Returns the queues to announce."""
    job.state = JobState.QUEUED
    job.step = step
    job.heartbeat_at = None
    job.announced_at = database_now(session)
    job.announcements = 0
    job.retry_at = None
    return (job.queue,)


def end(job: Job, state: JobState, error: str | None = None) -> None:
    """Note how a job ended."""
    job.state = state
    job.error = error
    job.retry_at = None
    job.finished_at = utc_now()


def _locked_parent(session: Session, job_id: int) -> Job | None:
    # Parent before child, everywhere: two shards that end at once then see each other.
    parent_id = select(Job.parent_id).where(Job.id == job_id).scalar_subquery()
    return session.scalar(select(Job).where(Job.id == parent_id).with_for_update())


def _all_ended(session: Session, parent: Job) -> bool:
    query = select(func.count()).where(Job.parent_id == parent.id, Job.state.in_(ACTIVE_STATES))
    return session.scalar(query) == 0


def cancel_children(session: Session, parent: Job) -> None:
    """Cancel the shards that wait, and ask the running ones to stop."""
    children = update(Job).where(Job.parent_id == parent.id)
    session.execute(children.where(Job.state == JobState.RUNNING).values(cancel_requested=True))
    session.execute(
        children.where(Job.state == JobState.QUEUED).values(
            state=JobState.CANCELLED, finished_at=utc_now()
        )
    )
