"""Rounds, models and how a project fares."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.api.schemas.base import Reply
from app.api.schemas.jobs import JobOut
from app.store import RoundState


class RoundOut(Reply):
    """A round with how far it has come."""

    id: int
    number: int
    state: RoundState
    strategy: str
    settings: dict[str, Any]
    model: int | None
    size: int
    labelled: int
    open: int
    foreground_pixels: int = Field(description="Outlined in the labels of this batch.")
    blank: int = Field(description="Labels of this batch without any foreground.")
    cases: int = Field(description="Cases that the batch is from.")
    streams: dict[str, int] = Field(description="Slices by the ranked list that asked for them.")
    nearest: float | None = Field(
        description="Mean distance of the batch's slices to the nearest other labelled one, in "
        "the model's features scaled to deviation 1; small means redundant."
    )
    exploring: str | None = Field(
        description="Why the batch is drawn for variety instead of by the strategy, if it is."
    )
    figures: dict[str, Any] | None = Field(
        description="Of the model that chose the batch, on the cases named by `on`: Dice, surface "
        "distances in mm, lesions, calibration, with 95 % intervals over cases."
    )
    created_at: datetime
    closed_at: datetime | None


class RoundItemOut(Reply):
    """Why a slice was in a round's batch, and the mask that is its label."""

    rank: int
    slice: int
    case: str
    index: int
    stream: str
    score: float | None
    mask: int | None


class MapPointOut(Reply):
    """A slice on the map of the pool."""

    slice: int
    case: str
    index: int
    x: float
    y: float
    state: Literal["pool", "batch", "labelled"]
    stream: str | None = Field(description="The ranked list that asked for it, in any round.")
    round: int | None = Field(description="The round that asked for it.")


class MapOut(Reply):
    """The pool as a model sees it, spread into a plane by t-SNE."""

    round: int
    state: Literal["drawn", "drawing", "failed", "removed", "none"] = Field(
        description="A map is drawn when somebody asks for it first: ask again in a second while "
        "it is `drawing`. `none`: the round has no model that scored the pool, or a newer model "
        "came before anybody looked. `removed`: this installation keeps maps for some days alone."
    )
    error: str | None = Field(description="Why it could not be drawn; minutes later it is tried.")
    points: list[MapPointOut]


class ModelOut(Reply):
    """A trained model without its weights."""

    id: int
    number: int
    parent: int | None
    job: int
    architecture: dict[str, Any]
    training_masks: list[int]
    scores: dict[str, Any] = Field(
        description="What training came to: `test`, `validation` and `cross_validation` hold Dice, "
        "surface distances, lesions and calibration with 95 % intervals, by class and by case."
    )
    held_back: str | None = Field(
        None, description="Why it did not become the project's model by itself, if it did not."
    )
    seed: int
    seconds: float
    created_at: datetime
    promoted_at: datetime | None = Field(description="When an admin made it the current model.")
    removed: dict[str, datetime] = Field(
        description="What of it was kept for some days alone, and when it went: `scores`, "
        "`suggestions`, `weights`."
    )


class TrainingMaskOut(Reply):
    """A mask that a model was trained on."""

    mask: int
    slice: int
    case: str
    index: int
    author: str
    foreground_pixels: int


class CurvePointOut(Reply):
    """One model on the learning curve."""

    model: int
    number: int
    labelled: int | None
    training_slices: int
    foreground_pixels: int | None = Field(description="Labelled, in the training slices.")
    blank: int | None = Field(description="Training slices without any foreground.")
    seconds_score: float | None = Field(
        None, description="From the end of training to the round that the model opened."
    )
    dice: dict[str, Any] = Field(
        description="Figures on test cases, validation cases or by cross-validation."
    )
    validation_kind: str | None
    held_back: str | None = Field(
        None, description="Why it did not become the project's model, if it did not."
    )
    seconds: float
    created_at: datetime


class EvidenceOut(Reply):
    """One round of those that a stopping hint is judged by."""

    labelled: int
    dice: float
    gain_per_100_labels: float | None


class StoppingHintOut(Reply):
    """Whether the last rounds' gain per label is too small to go on, with the evidence."""

    stop: bool
    reason: str
    threshold_per_100_labels: float
    gain_per_100_labels: float | None
    evidence: list[EvidenceOut]


class FailureOut(Reply):
    """What is wrong with the newest retraining."""

    job: int
    step: str
    reason: str = Field(description="In a line; `GET /jobs/{id}` has the error in full.")
    failures: int = Field(description="How often it has been tried in vain.")
    retry_at: datetime | None = Field(description="When it is tried again by itself.")
    ended: bool = Field(description="It is not tried again by itself: an admin must look.")
    message: str = Field(description="All of it in words.")


class NotLearnedOut(Reply):
    """A labelled slice that a training set aside."""

    case: str
    index: int
    why: str


class ProgressOut(Reply):
    """How a project fares."""

    project: str
    slices: dict[str, dict[str, int]]
    learning_curve: list[CurvePointOut]
    area_under_budget_curve: dict[str, float | None] = Field(
        description="Mean Dice over the labels so far, of the models measured on the same cases."
    )
    stopping: StoppingHintOut
    to_review: int = Field(description="Slices that wait for a reviewer.")
    round: RoundOut | None
    job: JobOut | None
    failure: FailureOut | None = Field(description="Of the newest retraining, if it has failed.")
    not_learned: list[NotLearnedOut] = Field(
        description="Labelled slices that the newest model could not learn from."
    )
