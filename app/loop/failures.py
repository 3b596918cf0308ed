"""What is wrong with a project's retraining, in words: what failed, how often, what comes next."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.loop import jobs
from app.store import Job, JobState

_STEPS = {"train": "training", "score": "scoring the pool", "select": "choosing the next batch"}


@dataclass(frozen=True)
class FailureView:
    """The newest retraining where it has failed, or is being tried again.

    ``reason`` in a line; ``failures``: tries that failed; ``retry_at``: when it is tried again,
    None while that is under way and where it is not; ``ended``: it is not tried again by itself.
    """

    job: int
    step: str
    reason: str
    failures: int
    retry_at: datetime | None
    ended: bool
    message: str


def last_failure(session: Session, project_id: int) -> FailureView | None:
    """What is wrong with the project's newest retraining, if something is."""
    job = jobs.last_job(session, project_id)
    failed = jobs.failing(session, job) if job is not None else None
    if job is None or failed is None:
        return None
    reason = reason_of(failed.error or "")
    return FailureView(
        job=job.id,
        step=failed.step,
        reason=reason,
        failures=failed.failures,
        retry_at=failed.retry_at,
        ended=job.state is JobState.FAILED,
        message=f"job {job.id} failed while {_STEPS[failed.step]}, {_times(failed.failures)}: "
        f"{reason}; {_and_then(job, failed)}",
    )


def what_next(session: Session, job: Job) -> str:
    """What becomes of a retraining that has failed, for those who wait; else how far it is."""
    failed = jobs.failing(session, job)
    if failed is None or (failed.retry_at is None and job.state is not JobState.FAILED):
        return f"job {job.id} is retraining ({job.step})"
    return f"job {job.id} failed {_times(failed.failures)}: {_and_then(job, failed)}"


def reason_of(error: str) -> str:
    """An error in a line: of a traceback the last, which says what it was."""
    before, trace, _ = error.partition("Traceback (most recent call last)")
    last = error.strip().splitlines()[-1:] if trace else []
    said = " ".join([*before.split(), *last]) or "for a reason that nobody noted"
    return said.rstrip(".")


def _times(failures: int) -> str:
    return "once" if failures <= 1 else f"{failures} times"


def _and_then(job: Job, failed: Job) -> str:
    if job.state is JobState.FAILED:
        return (
            "it is not tried again by itself: an admin looks at the error on the dashboard and "
            "starts a retraining"
        )
    if failed.retry_at is None:
        return "it is being tried again"
    when = failed.retry_at.astimezone(UTC)
    return f"it is tried again by itself at {when:%Y-%m-%d %H:%M} UTC, or when an admin says so"
