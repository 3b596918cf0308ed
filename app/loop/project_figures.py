"""What monitoring is shown of each project: its open round, leases, model and last retraining."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from app.core.model_scores import MEASURED_ON
from app.store import (
    Job,
    JobState,
    Label,
    Lease,
    ModelVersion,
    Project,
    QueryItem,
    Round,
    RoundState,
)

# Each is some lines at every scrape: of more, the newest are shown.
MOST_PROJECTS = 200


@dataclass(frozen=True)
class RoundFigures:
    """An open round: slices that it asks for, and those of them that have a label."""

    number: int
    opened_at: datetime
    asked: int
    answered: int


@dataclass
class LeaseFigures:
    """Leases that hold: all, those of the one person who has most, and the age of the oldest."""

    held: int = 0
    most_by_one: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True)
class ModelFigures:
    """A project's current model; ``dice`` by kind (``case``, ``slice``), measured ``on``."""

    number: int
    created_at: datetime
    on: str | None
    dice: dict[str, float]


@dataclass(frozen=True)
class FailedRetraining:
    """A project whose newest retraining failed: nothing trains it until somebody looks."""

    project: str
    job: int
    error: str


@dataclass(frozen=True)
class ProjectFigures:
    """One project at one moment."""

    name: str
    round: RoundFigures | None
    model: ModelFigures | None
    retraining_failed: bool
    leases: LeaseFigures = field(default_factory=LeaseFigures)


def project_figures(session: Session, now: datetime) -> list[ProjectFigures]:
    """The figures of the newest projects that go on, in the order of their names."""
    going_on = select(Project.id, Project.name).where(Project.archived_at.is_(None))
    newest = going_on.order_by(Project.id.desc()).limit(MOST_PROJECTS)
    rounds, leases, models = _rounds(session), _leases(session, now), _models(session)
    failed = {one.project for one in failed_retrainings(session)}
    return [
        ProjectFigures(
            name=name,
            round=rounds.get(project_id),
            model=models.get(project_id),
            retraining_failed=name in failed,
            leases=leases.get(project_id, LeaseFigures()),
        )
        for project_id, name in sorted(session.execute(newest), key=lambda row: row.name)
    ]


def failed_retrainings(session: Session) -> list[FailedRetraining]:
    """The projects that go on, but whose newest retraining failed, each with what it said."""
    newest = (
        select(func.max(Job.id)).where(Job.parent_id.is_(None)).group_by(Job.project_id)
    ).scalar_subquery()
    query = (
        select(Project.name, Job.id, Job.error)
        .join(Project, Project.id == Job.project_id)
        .where(Job.id.in_(newest), Job.state == JobState.FAILED, Project.archived_at.is_(None))
        .order_by(Project.name)
    )
    return [FailedRetraining(name, job, error or "") for name, job, error in session.execute(query)]


def _rounds(session: Session) -> dict[int, RoundFigures]:
    query = (
        select(Round, func.count(QueryItem.id), func.count(Label.slice_id))
        .outerjoin(QueryItem, QueryItem.round_id == Round.id)
        .outerjoin(Label, Label.slice_id == QueryItem.slice_id)
        .where(Round.state == RoundState.OPEN)
        .group_by(Round.id)
    )
    return {
        found.project_id: RoundFigures(found.number, found.created_at, asked, answered)
        for found, asked, answered in session.execute(query)
    }


def _leases(session: Session, now: datetime) -> dict[int, LeaseFigures]:
    query = (
        select(Round.project_id, func.count(Lease.id), func.min(Lease.created_at))
        .join(Round, Round.id == Lease.round_id)
        .where(Lease.ended_at.is_(None), Lease.expires_at > now)
        .group_by(Round.project_id, Lease.account_id)
    )
    found: dict[int, LeaseFigures] = {}
    for project_id, held, oldest in session.execute(query):
        figures = found.setdefault(project_id, LeaseFigures())
        figures.held += held
        figures.most_by_one = max(figures.most_by_one, held)
        age = (now - oldest).total_seconds()
        figures.oldest_seconds = max(figures.oldest_seconds, age)
    return found


def _models(session: Session) -> dict[int, ModelFigures]:
    """Of each project the model that ``loop.models.current_model`` names.

    Two numbers are taken out of a model's scores where they lie: of many cases these are long.
    """
    place = func.row_number().over(
        partition_by=ModelVersion.project_id,
        order_by=(
            func.coalesce(ModelVersion.promoted_at, ModelVersion.created_at).desc(),
            ModelVersion.number.desc(),
        ),
    )
    usable = ModelVersion.held_back.is_(None) | ModelVersion.promoted_at.is_not(None)
    ranked = select(ModelVersion.id, place.label("place")).where(usable).subquery()
    dice = [
        ModelVersion.scores[(on, f"dice_{kind}")].as_float().label(f"{on}_{kind}")
        for on in MEASURED_ON
        for kind in ("case", "slice")
    ]
    query = select(
        ModelVersion.project_id, ModelVersion.number, ModelVersion.created_at, *dice
    ).where(ModelVersion.id.in_(select(ranked.c.id).where(ranked.c.place == 1)))
    return {row.project_id: _model(row) for row in session.execute(query)}


def _model(row: Row[Any]) -> ModelFigures:
    found = {
        on: {
            kind: float(value)
            for kind in ("case", "slice")
            if (value := getattr(row, f"{on}_{kind}")) is not None
        }
        for on in MEASURED_ON
    }
    on = next((on for on in MEASURED_ON if found[on]), None)
    return ModelFigures(row.number, row.created_at, on, found[on] if on else {})
