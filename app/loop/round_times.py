"""What the seconds of each retraining went to, as workers noted them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.store import Job, JobState, ModelVersion, Project

STEPS = "training steps"
# Of a training that did not note its parts.
_TRAINING = "training"


@dataclass(frozen=True)
class RoundTime:
    """A retraining from its first claim to its end, in seconds.

    ``parts``: by what they were spent on, scoring summed over all workers; ``machines``: what
    computed it.
    """

    model: int
    seconds: float
    parts: dict[str, float]
    machines: list[str]

    @property
    def other(self) -> float:
        """What no part accounts for: loading, waiting for a worker, keeping results."""
        return max(0.0, self.seconds - sum(self.parts.values()))


def round_times(session: Session, project: Project) -> list[RoundTime]:
    """All retrainings of a project that ended well, oldest first."""
    rows = session.execute(
        select(Job, ModelVersion)
        .join(ModelVersion, ModelVersion.job_id == Job.id)
        .where(Job.project_id == project.id, Job.state == JobState.SUCCEEDED)
        .order_by(ModelVersion.number)
    ).all()
    return [_time_of(session, job, model) for job, model in rows]


def _time_of(session: Session, job: Job, model: ModelVersion) -> RoundTime:
    shards = session.scalars(select(Job.progress).where(Job.parent_id == job.id)).all()
    training: Mapping[str, float] = model.scores.get("seconds") or {_TRAINING: model.seconds}
    parts: Counter[str] = Counter()
    for noted in (training, *(p.get("seconds", {}) for p in (*shards, job.progress))):
        for part, seconds in noted.items():
            parts[part] += seconds
    whole = job.finished_at - job.started_at if job.finished_at and job.started_at else None
    return RoundTime(
        model=model.number,
        seconds=whole.total_seconds() if whole else sum(parts.values()),
        parts=dict(parts),
        machines=sorted({p["machine"] for p in (*shards, job.progress) if "machine" in p}),
    )


def share_of_steps(times: Sequence[RoundTime]) -> float | None:
    """The share of all seconds that went into training steps; None where none noted them."""
    if not any(STEPS in one.parts for one in times):
        return None
    whole = sum(max(one.seconds, sum(one.parts.values())) for one in times)
    return sum(one.parts.get(STEPS, 0.0) for one in times) / whole if whole else None
