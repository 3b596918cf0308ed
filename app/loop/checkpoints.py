"""Checkpoints of trainings: kept a part at a time, so that no other writer waits long.

A checkpoint is there once ``complete`` says so: until then the one before is. What nothing needs
any more goes a few parts at a time too.
"""

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from app.loop import claims
from app.loop.claims import STEP_TRAIN, Claim
from app.store import ACTIVE_STATES, CheckpointPart, Job, JobState

# Bytes that one transaction takes.
PART_BYTES = 4 << 20
_PARTS_AT_ONCE = 2


def next_version(session: Session, held: Claim) -> int:
    """The version that the job's next checkpoint gets. Raises ``ClaimLost``."""
    claims.hold(session, held)
    of_job = CheckpointPart.job_id == held.job_id
    return (session.scalar(select(func.max(CheckpointPart.version)).where(of_job)) or 0) + 1


def put_part(session: Session, held: Claim, version: int, number: int, data: bytes) -> None:
    """Keep a part of a checkpoint that is being written. Raises ``ClaimLost``."""
    claims.hold(session, held)
    session.add(CheckpointPart(job_id=held.job_id, version=version, number=number, data=data))


def complete(session: Session, held: Claim, version: int) -> None:
    """All parts are there: this is the job's checkpoint now. Raises ``ClaimLost``.

    Workers that were lost before got it further, so they count no more.
    """
    job = claims.hold(session, held)
    job.checkpoint = version
    job.lost = 0


def load(session: Session, job_id: int) -> bytes | None:
    """The job's checkpoint, if it has one."""
    parts = session.scalars(
        select(CheckpointPart.data)
        .join(Job, Job.id == CheckpointPart.job_id)
        .where(Job.id == job_id, CheckpointPart.version == Job.checkpoint)
        .order_by(CheckpointPart.number)
    ).all()
    return b"".join(parts) or None


def forget(session: Session, job_id: int) -> None:
    """The job needs its checkpoint no more: ``drop`` takes it away."""
    session.execute(update(Job).where(Job.id == job_id).values(checkpoint=None))


def drop(session: Session, job_id: int) -> bool:
    """Delete a few parts of a job that are not of its checkpoint; whether there were any."""
    return _drop(session, and_(Job.id == job_id, _of_no_checkpoint()))


def sweep(session: Session) -> bool:
    """Delete a few parts of trainings that have ended, however; whether there were any."""
    return _drop(session, _left_over())


def drop_of_project(session: Session, project_id: int) -> bool:
    """Delete a few parts of a project's trainings; whether there were any."""
    return _drop(session, Job.project_id == project_id)


def any_left_over(session: Session) -> bool:
    """Whether ``sweep`` would find anything."""
    return session.scalar(_parts(_left_over()).limit(1)) is not None


def _of_no_checkpoint() -> ColumnElement[bool]:
    return or_(Job.checkpoint.is_(None), CheckpointPart.version != Job.checkpoint)


def _left_over() -> ColumnElement[bool]:
    """SQL: parts that no training needs; while one runs, its worker looks after them."""
    over = or_(Job.state.not_in(ACTIVE_STATES), Job.step != STEP_TRAIN)
    return or_(over, and_(Job.state == JobState.QUEUED, _of_no_checkpoint()))


def _parts(which: ColumnElement[bool]) -> Select[int, int, int]:
    keys = (CheckpointPart.job_id, CheckpointPart.version, CheckpointPart.number)
    return select(*keys).join(Job, Job.id == CheckpointPart.job_id).where(which)


def _drop(session: Session, which: ColumnElement[bool]) -> bool:
    found = [tuple(row) for row in session.execute(_parts(which).limit(_PARTS_AT_ONCE))]
    key = tuple_(CheckpointPart.job_id, CheckpointPart.version, CheckpointPart.number)
    session.execute(delete(CheckpointPart).where(key.in_(found)))
    return bool(found)
