"""What becomes of a project's jobs when slices that they work on, or the project, are deleted."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.loop import traces
from app.loop.claims import STEP_TRAIN, end, requeue
from app.store import ACTIVE_STATES, Job, JobState


def begin_again(session: Session, project_id: int, anything_to_learn: bool) -> Job | None:
    """Make a training that runs begin anew, as slices that it may have read are gone.

    Whoever holds it loses it and keeps nothing; one that waits to go on, or to be tried again,
    begins anew at once. Where nothing is left to learn from, it is
    cancelled instead. Returns the job, if there was one.
    """
    job = session.scalar(
        select(Job)
        .where(
            Job.project_id == project_id,
            Job.parent_id.is_(None),
            Job.step == STEP_TRAIN,
            Job.state.in_((JobState.QUEUED, JobState.RUNNING)),
        )
        .with_for_update()
    )
    if job is None or job.cancel_requested:
        return None
    if not anything_to_learn:
        end(job, JobState.CANCELLED)
    elif job.state is JobState.RUNNING or job.checkpoint or job.retry_at:
        job.checkpoint = None
        requeue(session, job, STEP_TRAIN)
    else:
        return None
    return job


def cancel_all(session: Session, project_id: int) -> list[int]:
    """End all jobs of a project, whoever holds them; returns the retrainings among them."""
    active = (
        select(Job)
        .where(Job.project_id == project_id, Job.state.in_(ACTIVE_STATES))
        .order_by(Job.id)
    )
    cancelled = []
    # Again, as long as there are any: while we waited for one, it may have been split into shards.
    while found := session.scalars(active.with_for_update()).all():
        for job in found:
            end(job, JobState.CANCELLED)
        session.flush()
        cancelled += [job.id for job in found if job.parent_id is None]
    return cancelled


def delete_all(session: Session, project_id: int) -> None:
    """Delete all jobs of a project, shards first."""
    ids = select(Job.id).where(Job.project_id == project_id)
    for column in traces.OF_JOBS:
        session.execute(delete(column.class_).where(column.in_(ids)))
    of_project = delete(Job).where(Job.project_id == project_id)
    session.execute(of_project.where(Job.parent_id.is_not(None)))
    session.execute(of_project)
