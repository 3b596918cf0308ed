"""How a project fares: its learning curve, its open round, its running job."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.model_scores import MEASURED_ON, measured_on, not_learned, without_cases
from app.core.project_settings import query_settings
from app.core.splits import Split
from app.loop import jobs
from app.loop.failures import FailureView, last_failure
from app.loop.jobs import JobView
from app.loop.reviews import count_to_review
from app.loop.round_history import RoundView, round_view
from app.loop.stopping import Point, StoppingHint, area_under_budget_curve, stopping_hint
from app.store import Label, ModelVersion, Project, Round, RoundState, Slice

Dice = dict[str, Any]


@dataclass(frozen=True)
class CurvePoint:
    """One model on the learning curve: labels on x, and its figures by what they are of.

    ``held_back``: why it did not become the project's model, if it did not.
    """

    model: int
    number: int
    labelled: int | None
    training_slices: int
    foreground_pixels: int | None
    blank: int | None
    seconds_score: float | None
    dice: dict[str, Dice]
    validation_kind: str | None
    held_back: str | None
    seconds: float
    created_at: datetime


@dataclass(frozen=True)
class Progress:
    """How a project fares; ``slices`` counts all and labelled ones by split.

    ``failure``: what is wrong with its newest retraining; ``not_learned``: labelled slices that
    its newest model could not learn from, with the reason.
    """

    project: str
    slices: dict[str, dict[str, int]]
    learning_curve: list[CurvePoint]
    area_under_budget_curve: dict[str, float | None]
    stopping: StoppingHint
    to_review: int
    round: RoundView | None
    job: JobView | None
    failure: FailureView | None
    not_learned: list[dict[str, Any]]


def progress(session: Session, project: Project) -> Progress:
    """Counts of the project's slices, its learning curve, its open round and its running job."""
    models = session.scalars(
        select(ModelVersion)
        .where(ModelVersion.project_id == project.id)
        .order_by(ModelVersion.number)
    ).all()
    open_round = session.scalar(
        select(Round).where(Round.project_id == project.id, Round.state == RoundState.OPEN)
    )
    active = jobs.active_job(session, project.id)
    scored = _seconds_to_score(session, project.id)
    settings = query_settings(project)
    measured = comparable(models)
    return Progress(
        project=project.name,
        slices=_slice_counts(session, project.id),
        learning_curve=[curve_point(model, scored.get(model.id)) for model in models],
        area_under_budget_curve={
            dice: area_under_budget_curve([Point(labelled, s[dice]) for labelled, s in measured])
            for dice in ("dice_case", "dice_slice")
        },
        stopping=stopping_hint(
            [Point(labelled, s["dice_case"]) for labelled, s in measured],
            settings.stop_below,
            settings.stop_rounds,
        ),
        to_review=count_to_review(session, project),
        round=round_view(session, open_round) if open_round else None,
        job=jobs.view(session, active) if active else None,
        failure=last_failure(session, project.id),
        not_learned=not_learned(models[-1].scores) if models else [],
    )


def comparable(models: Sequence[ModelVersion]) -> list[tuple[int, Dice]]:
    """Labels and Dice of the newest models that were all measured on the same kind of cases.

    With the labels of a model that was held back the project still has the model that it was
    judged beside.
    """
    points: list[tuple[int, Dice | None, int | None]] = []
    of_number: dict[int, Dice] = {}
    kind = None
    for model in reversed(models):
        scores = model.scores
        measured = measured_on(scores)
        found = measured, scores.get("validation_kind")
        if measured is None or scores.get("labelled") is None or kind not in (None, found):
            break
        kind = found
        of_number[model.number] = scores[measured]
        beside = scores.get("judged", {}).get("parent")
        points.append((scores["labelled"], None if _unused(model) else scores[measured], beside))
    known: list[tuple[int, Dice]] = []
    for labelled, dice, beside in reversed(points):
        used = dice or of_number.get(beside or 0) or (known[-1][1] if known else None)
        if used is not None:
            known.append((labelled, used))
    return known


def _unused(model: ModelVersion) -> str | None:
    """Why a model was held back, unless an admin has made it the current one all the same."""
    return model.held_back if model.promoted_at is None else None


def _seconds_to_score(session: Session, project_id: int) -> dict[int, float]:
    """From a model's end of training to the round that it opened: scoring and selecting."""
    query = (
        select(ModelVersion.id, ModelVersion.created_at, func.min(Round.created_at))
        .join(Round, Round.model_id == ModelVersion.id)
        .where(ModelVersion.project_id == project_id)
        # Where a later model was held back, this one opened the round after its own as well.
        .group_by(ModelVersion.id, ModelVersion.created_at)
    )
    return {model: (later - made).total_seconds() for model, made, later in session.execute(query)}


def _slice_counts(session: Session, project_id: int) -> dict[str, dict[str, int]]:
    query = (
        select(Slice.split, func.count(Slice.id), func.count(Label.slice_id))
        .outerjoin(Label, Label.slice_id == Slice.id)
        .where(Slice.project_id == project_id)
        .group_by(Slice.split)
    )
    counts = {str(split): {"total": 0, "labelled": 0} for split in Split}
    for split, total, labelled in session.execute(query):
        counts[str(split)] = {"total": total, "labelled": labelled}
    return counts


def curve_point(model: ModelVersion, seconds_score: float | None) -> CurvePoint:
    """One point of the learning curve."""
    return CurvePoint(
        model=model.id,
        number=model.number,
        labelled=model.scores.get("labelled"),
        training_slices=len(model.mask_ids),
        foreground_pixels=model.scores.get("foreground_pixels"),
        blank=model.scores.get("blank"),
        seconds_score=seconds_score,
        dice={k: v for k, v in without_cases(model.scores).items() if k in MEASURED_ON},
        validation_kind=model.scores.get("validation_kind"),
        held_back=_unused(model),
        seconds=model.seconds,
        created_at=model.created_at,
    )
