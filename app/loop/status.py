"""What monitoring asks: does the database answer, and how do the jobs stand."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.store import Job, JobState, Project


def check_ready(session: Session) -> None:
    """Read from a table of ours; raises the database's error when that cannot be done."""
    session.execute(select(Project.id).limit(1)).all()


def job_counts(session: Session) -> dict[str, int]:
    """Jobs by state, states without jobs included."""
    rows = session.execute(select(Job.state, func.count()).group_by(Job.state)).all()
    counts = {str(state): 0 for state in JobState}
    counts.update({str(state): count for state, count in rows})
    return counts
