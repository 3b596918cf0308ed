"""What monitoring is shown of an installation: queues, workers, leases, rounds, models, backups.

Read at every scrape, so nothing here grows with the pool: slices, masks and scores are never
counted, only what is at work now, and the newest of each project.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import SQLColumnExpression, func, select
from sqlalchemy.orm import Session

from app.loop.capabilities import live_workers
from app.loop.claims import QUEUES
from app.loop.project_figures import ProjectFigures, project_figures
from app.store import Event, Job, JobState, Project, Transfer, TransferKind, facts
from app.store.audit import IS_BACKUP

# Of jobs of before it was noted only the beginning is known.
_QUEUED_AT = func.coalesce(Job.queued_at, Job.created_at)


@dataclass(frozen=True)
class Figures:
    """An installation at one moment. Ages and sizes are in seconds and bytes.

    ``jobs`` by queue and state, ``transfers`` by kind and state: zero where there are none.
    ``waiting``: age of a queue's oldest waiting job; ``silent``: the longest time that a running
    job of it has shown no life; both zero where there is none.
    """

    jobs: Mapping[tuple[str, str], int]
    waiting: Mapping[str, float]
    silent: Mapping[str, float]
    workers: Mapping[str, int]
    transfers: Mapping[tuple[str, str], int]
    projects: int
    of_projects: list[ProjectFigures]
    backup_made_at: datetime | None
    database_bytes: int


def figures(session: Session, now: datetime) -> Figures:
    """The installation's figures at ``now``."""
    return Figures(
        jobs=_jobs(session),
        waiting=_ages(session, JobState.QUEUED, _QUEUED_AT, now),
        silent=_ages(session, JobState.RUNNING, Job.heartbeat_at, now),
        workers=_workers(session),
        transfers=_transfers(session),
        projects=session.scalar(select(func.count(Project.id))) or 0,
        of_projects=project_figures(session, now),
        backup_made_at=newest_backup(session),
        database_bytes=facts.size_bytes(session),
    )


def newest_backup(session: Session) -> datetime | None:
    """When the newest backup was made that the audit trail knows of."""
    return session.scalar(select(Event.at).where(IS_BACKUP).order_by(Event.id.desc()).limit(1))


def _jobs(session: Session) -> dict[tuple[str, str], int]:
    counts = {(queue, str(state)): 0 for queue in QUEUES for state in JobState}
    query = select(Job.queue, Job.state, func.count()).group_by(Job.state, Job.queue)
    for queue, state, count in session.execute(query):
        counts[queue, str(state)] = count
    return counts


def _ages(
    session: Session,
    state: JobState,
    since: SQLColumnExpression[datetime | None],
    now: datetime,
) -> dict[str, float]:
    """For each queue the longest time, in seconds, that a job in that state shows."""
    oldest = dict.fromkeys(QUEUES, 0.0)
    query = select(Job.queue, func.min(since)).where(Job.state == state).group_by(Job.queue)
    for queue, at in session.execute(query):
        if at is not None:
            oldest[queue] = max(0.0, (now - at).total_seconds())
    return oldest


def _workers(session: Session) -> dict[str, int]:
    seen = Counter(queue for worker in live_workers(session) for queue in worker.queues)
    return {**dict.fromkeys(QUEUES, 0), **seen}


def _transfers(session: Session) -> dict[tuple[str, str], int]:
    # One never waits for its shards.
    states = [state for state in JobState if state is not JobState.WAITING]
    counts = {(str(kind), str(state)): 0 for kind in TransferKind for state in states}
    query = select(Transfer.kind, Transfer.state, func.count()).group_by(
        Transfer.kind, Transfer.state
    )
    for kind, state, count in session.execute(query):
        counts[str(kind), str(state)] = count
    return counts
