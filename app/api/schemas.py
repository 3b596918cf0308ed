"""The shapes of requests and replies, with the examples that OpenAPI shows."""

from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from app.core.project_settings import ProjectSettings
from app.core.splits import Split
from app.loop.paging import Page as LoopPage
from app.store import (
    JobKind,
    JobState,
    Mask,
    MaskSource,
    ReviewState,
    Role,
    RoundState,
)

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A page of a list; ``next`` is the cursor of the following page, null at the end."""

    items: list[T]
    next: int | None = None


def as_page(found: LoopPage[Any]) -> dict[str, Any]:
    """A page of the loop as a reply."""
    return {"items": found.items, "next": found.next}


class SignInIn(BaseModel):
    """What a person signs in with."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=200, examples=["sfu_1_…"])


class SessionOut(BaseModel):
    """Who is signed in."""

    account: str
    role: Role
    csrf: str = Field(description="To be sent as X-CSRF-Token with whatever changes something.")
    expires_at: datetime


class TokenCreate(BaseModel):
    """A new token."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=200, examples=["dr-levi"])
    role: Role = Role.ANNOTATOR


class TokenMade(BaseModel):
    """A new token's text, seen this once."""

    name: str
    role: Role
    token: str


class TokenOut(BaseModel):
    """A token without its secret."""

    id: int
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None


class ProjectCreate(ProjectSettings):
    """A new project."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "glioma",
                    "classes": ["background", "tumour"],
                    "query": {"strategy": "entropy-selective", "size": 20},
                    "training": {"width": 16, "epochs": 50},
                }
            ]
        },
    )

    name: str = Field(max_length=200, examples=["glioma"])


class ProjectChange(BaseModel):
    """Settings to change; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": {"strategy": "clasp", "size": 30}}]},
    )

    query: dict[str, Any] = {}
    training: dict[str, Any] = {}


class ProjectOut(BaseModel):
    """A project and its settings."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    classes: list[str]
    query: dict[str, Any]
    training: dict[str, Any]
    created_at: datetime


class SliceOut(BaseModel):
    """A slice without its pixels."""

    id: int
    case: str
    index: int
    split: Split
    height: int
    width: int
    bits: int
    sha256: str
    image: str = Field(examples=["/slices/1/image"])


class LeaseOut(BaseModel):
    """An annotator's hold on a slice."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    expires_at: datetime


class SkipIn(BaseModel):
    """Why a slice is skipped."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=1000, examples=["motion artefact"])


class ReturnedOut(BaseModel):
    """The annotator's own mask that a reviewer rejected, and why."""

    model_config = ConfigDict(from_attributes=True)

    mask_id: int
    comment: str


class ItemOut(BaseModel):
    """A slice to annotate, and why it was asked for."""

    slice: int
    case: str
    index: int
    height: int
    width: int
    rank: int = Field(description="Place in the round's batch, from 1.")
    stream: str = Field(description="Which ranked list asked for it.")
    score: float | None = Field(description="The aggregated uncertainty that ranked it.")
    image: str
    suggestion: str | None = Field(description="The model's mask, if there is one.")
    uncertainty: str | None
    lease: LeaseOut
    returned: ReturnedOut | None = Field(
        None, description="Set when a reviewer sent the annotator's mask back."
    )


class BatchOut(BaseModel):
    """The next slices; ``message`` says why there are none and what will happen."""

    project: str
    round: int | None
    model: int | None
    items: list[ItemOut]
    remaining: int = Field(description="Slices of the round that nobody has answered yet.")
    message: str | None = None


class MaskOut(BaseModel):
    """A kept mask."""

    id: int
    slice: int
    author: str
    revision: int
    source: MaskSource
    late: bool = Field(description="It came without a lease: kept as a further reading.")
    seconds: float | None
    foreground_pixels: int
    sha256: str
    review_state: ReviewState
    created_at: datetime
    image: str

    @staticmethod
    def of(mask: Mask) -> "MaskOut":
        """The reply for a stored mask."""
        return MaskOut(
            id=mask.id,
            slice=mask.slice_id,
            author=mask.author.name,
            revision=mask.revision,
            source=mask.source,
            late=mask.late,
            seconds=mask.seconds,
            foreground_pixels=mask.foreground_pixels,
            sha256=mask.sha256,
            review_state=mask.review_state,
            created_at=mask.created_at,
            image=f"/masks/{mask.id}/image",
        )


class ReviewIn(BaseModel):
    """A verdict; a rejection needs a comment."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"verdict": "rejected", "comment": "misses the rim"}]},
    )

    verdict: Literal["accepted", "rejected"]
    comment: str = Field("", max_length=10_000)


class JobCreate(BaseModel):
    """A job to start."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"project": "glioma", "kind": "retrain"}]},
    )

    project: str | None = None
    kind: Literal["retrain"] = "retrain"


class JobOut(BaseModel):
    """A job and how far it has come."""

    id: int
    kind: JobKind
    state: JobState
    step: str
    attempt: int
    cancel_requested: bool
    progress: dict[str, Any] = Field(
        examples=[{"epoch": 7, "epochs": 50, "train_loss": 0.21, "slices_scored": 512}]
    )
    error: str | None
    worker: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RoundOut(BaseModel):
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
    created_at: datetime
    closed_at: datetime | None


class RoundItemOut(BaseModel):
    """Why a slice was in a round's batch, and the mask that stands for it."""

    rank: int
    slice: int
    case: str
    index: int
    stream: str
    score: float | None
    mask: int | None


class ModelOut(BaseModel):
    """A trained model without its weights."""

    id: int
    number: int
    parent: int | None
    job: int
    architecture: dict[str, Any]
    training_masks: list[int]
    scores: dict[str, Any]
    seed: int
    seconds: float
    created_at: datetime
    promoted_at: datetime | None = Field(description="When an admin made it the current model.")


class TrainingMaskOut(BaseModel):
    """A mask that a model was trained on."""

    mask: int
    slice: int
    case: str
    index: int
    author: str
    foreground_pixels: int


class CurvePoint(BaseModel):
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
    dice: dict[str, Any]
    validation_kind: str | None
    seconds: float
    created_at: datetime


class StoppingHint(BaseModel):
    """Whether the last rounds' gain per label is too small to go on, with the evidence."""

    stop: bool
    reason: str
    threshold_per_100_labels: float
    gain_per_100_labels: float | None
    evidence: list[dict[str, float | None]]


class ProgressOut(BaseModel):
    """How a project fares."""

    project: str
    slices: dict[str, dict[str, int]]
    learning_curve: list[CurvePoint]
    area_under_budget_curve: dict[str, float | None] = Field(
        description="Mean Dice over the labels so far, of the models measured on the same cases."
    )
    stopping: StoppingHint
    to_review: int = Field(description="Slices that wait for a reviewer.")
    round: RoundOut | None
    job: JobOut | None


class EventOut(BaseModel):
    """One line of the audit trail."""

    id: int
    at: datetime
    account: int | None
    action: str
    detail: dict[str, Any]


class ReviewComment(BaseModel):
    """What a reviewer said of a mask."""

    mask: int
    verdict: ReviewState
    comment: str
    at: datetime


class ToReviewOut(BaseModel):
    """A slice that waits for a reviewer, with each annotator's newest mask."""

    slice: int
    case: str
    index: int
    height: int
    width: int
    stream: str | None
    image: str
    suggestion: str | None
    readings: list[MaskOut]
    comments: list[ReviewComment]


class AnnotatorDay(BaseModel):
    """What an annotator drew on a day (UTC)."""

    account: str
    day: date
    masks: int
    timed: int = Field(description="Masks that came with the seconds they took.")
    seconds: float = Field(description="Active drawing, in all.")
    blank: int
    rejected: int
    agreement: float | None = Field(
        description="Mean Dice with the other readers of the same slices."
    )


class ImportOut(BaseModel):
    """What an import did."""

    cases: int
    new_slices: int
    known_slices: int
    refused: dict[str, str] = Field(description="Cases that were left out, and why.")


class MapPointOut(BaseModel):
    """A slice on the map of the pool."""

    slice: int
    case: str
    index: int
    x: float
    y: float
    state: Literal["pool", "batch", "labelled"]
    stream: str | None = Field(description="The ranked list that asked for it, in any round.")
    round: int | None = Field(description="The round that asked for it.")


class MapOut(BaseModel):
    """The pool as a model sees it, spread into a plane by t-SNE."""

    round: int | None
    points: list[MapPointOut]
