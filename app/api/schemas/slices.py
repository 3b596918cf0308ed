"""Slices: posted, handed out, and to be reviewed. What all of these say of a slice stands once."""

from datetime import datetime
from urllib.parse import quote

from pydantic import Field

from app.api.schemas.base import Reply, Request
from app.api.schemas.masks import MaskOut
from app.core.geometry import Plane
from app.core.splits import Split
from app.loop.next_batch import Batch, HandedOut
from app.loop.reviews import ToReview
from app.loop.slice_views import SliceView
from app.store import ReviewState


class ChannelOut(Reply):
    """One channel of a slice. The file's value is (stored + offset) · slope + intercept."""

    name: str
    image: str = Field(examples=["/slices/1/image?channel=flair"])
    offset: int
    slope: float
    intercept: float
    unit: str | None = Field(description="HU for CT; null for a scanner's own numbers.")


class SpacingOut(Reply):
    """Millimetres from one row, column and slice to the next."""

    row: float
    column: float
    slice: float


class EdgesOut(Reply):
    """What each edge of the picture shows: right, left, anterior, posterior, superior, inferior."""

    left: str = Field(examples=["R"])
    right: str = Field(examples=["L"])
    top: str = Field(examples=["A"])
    bottom: str = Field(examples=["P"])


class SliceFields(Reply):
    """What everybody is told of a slice. A new field stands here and in ``loop.slice_views``."""

    case: str
    index: int
    height: int
    width: int
    image: str = Field(examples=["/slices/1/image"], description="Its first channel.")
    channels: list[ChannelOut]
    spacing: SpacingOut | None = Field(description="Null where the files did not say.")
    orientation: EdgesOut | None
    plane: Plane | None = Field(description="The plane that it is cut in, or the nearest.")

    @classmethod
    def of(cls, view: SliceView) -> "SliceFields":
        """The fields of a slice of the loop, with the addresses of its pictures."""
        image = f"/slices/{view.id}/image"
        known = {name: getattr(view, name) for name in SliceFields.model_fields if name != "image"}
        known["channels"] = [
            {**vars(channel), "image": f"{image}?channel={quote(channel.name)}"}
            for channel in view.channels
        ]
        return SliceFields.model_validate({**known, "image": image})


class SliceOut(SliceFields):
    """A slice without its pixels."""

    id: int
    split: Split
    bits: int = Field(description="Of the first channel, as is the sha256.")
    sha256: str
    missing: list[str] = Field(description="Channels that are not in yet: not asked for before.")

    @classmethod
    def of(cls, view: SliceView) -> "SliceOut":
        """The reply for a slice of the loop."""
        return SliceOut(
            **dict(SliceFields.of(view)),
            id=view.id,
            split=view.split,
            bits=view.bits,
            sha256=view.sha256,
            missing=view.missing,
        )


class LeaseOut(Reply):
    """An annotator's hold on a slice."""

    id: int
    expires_at: datetime


class SkipIn(Request):
    """Why a slice is skipped."""

    reason: str = Field("", max_length=1000, examples=["motion artefact"])


class ReturnedOut(Reply):
    """The annotator's own mask that a reviewer rejected, and why."""

    mask_id: int
    comment: str


class ItemOut(SliceFields):
    """A slice to annotate, and why it was asked for."""

    slice: int
    rank: int = Field(description="Place in the round's batch, from 1.")
    stream: str = Field(description="Which ranked list asked for it.")
    score: float | None = Field(description="The aggregated uncertainty that ranked it.")
    suggestion: str | None = Field(description="The model's mask, if there is one.")
    suggestion_model: int | None = Field(
        description="The model that suggests it: said with a mask that was begun with it."
    )
    uncertainty: str | None
    lease: LeaseOut
    returned: ReturnedOut | None = Field(
        None, description="Set when a reviewer sent the annotator's mask back."
    )

    @classmethod
    def of_handed(cls, handed: HandedOut) -> "ItemOut":
        """The reply for what was handed out."""
        path, model = f"/slices/{handed.slice.id}", handed.suggestion_model
        return ItemOut(
            **dict(SliceFields.of(handed.slice)),
            slice=handed.slice.id,
            rank=handed.rank,
            stream=handed.stream,
            score=handed.score,
            suggestion=None if model is None else f"{path}/suggestion",
            suggestion_model=model,
            uncertainty=None if model is None else f"{path}/uncertainty",
            lease=LeaseOut.model_validate(handed.lease),
            returned=ReturnedOut.model_validate(handed.returned) if handed.returned else None,
        )


class BatchOut(Reply):
    """The next slices; ``message`` says why there are none and what will happen."""

    project: str
    round: int | None
    model: int | None
    exploring: str | None = Field(
        description="Why the batch is drawn for variety instead of by the strategy, if it is."
    )
    items: list[ItemOut]
    remaining: int = Field(description="Slices of the round that nobody has answered yet.")
    message: str | None = None

    @classmethod
    def of(cls, project: str, batch: Batch) -> "BatchOut":
        """The reply for a batch of the loop."""
        round_ = batch.round
        return BatchOut(
            project=project,
            round=round_.number if round_ else None,
            model=round_.model_id if round_ else None,
            exploring=round_.exploring if round_ else None,
            items=[ItemOut.of_handed(handed) for handed in batch.items],
            remaining=batch.remaining,
            message=batch.message,
        )


class ReviewComment(Reply):
    """What a reviewer said of a mask."""

    mask: int = Field(validation_alias="mask_id")
    verdict: ReviewState
    comment: str
    at: datetime = Field(validation_alias="created_at")


class ToReviewOut(SliceFields):
    """A slice that waits for a reviewer, with each annotator's newest mask."""

    slice: int
    stream: str | None
    suggestion: str | None
    readings: list[MaskOut]
    comments: list[ReviewComment]

    @classmethod
    def of_found(cls, found: ToReview) -> "ToReviewOut":
        """The reply for a slice that waits."""
        path = f"/slices/{found.slice.id}"
        return ToReviewOut(
            **dict(SliceFields.of(found.slice)),
            slice=found.slice.id,
            stream=found.stream,
            suggestion=f"{path}/suggestion" if found.suggested else None,
            readings=[MaskOut.of(mask) for mask in found.readings],
            comments=[ReviewComment.model_validate(comment) for comment in found.comments],
        )
