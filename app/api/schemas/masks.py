"""Masks and what reviewers and annotators do."""

from datetime import date, datetime
from typing import Literal

from pydantic import ConfigDict, Field

from app.api.schemas.base import Reply, Request
from app.store import Mask, MaskOrigin, MaskSource, ReviewState


class MaskOut(Reply):
    """A kept mask."""

    id: int
    slice: int
    author: str
    revision: int
    source: MaskSource
    origin: MaskOrigin | None = Field(
        description="How it came about; null for masks of before this was asked."
    )
    suggestion_model: int | None = Field(description="The model whose suggestion it began with.")
    late: bool = Field(description="It came without a lease: kept as a further reading.")
    unasked: bool = Field(
        description="Its author was never handed the slice: it counts once a reviewer accepts it."
    )
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
            origin=mask.origin,
            suggestion_model=mask.suggestion_model_id,
            late=mask.late,
            unasked=mask.unasked,
            seconds=mask.seconds,
            foreground_pixels=mask.foreground_pixels,
            sha256=mask.sha256,
            review_state=mask.review_state,
            created_at=mask.created_at,
            image=f"/masks/{mask.id}/image",
        )


class ReviewIn(Request):
    """A verdict; a rejection needs a comment."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"verdict": "rejected", "comment": "misses the rim"}]},
    )

    verdict: Literal["accepted", "rejected"]
    comment: str = Field("", max_length=10_000)


class AnnotatorDay(Reply):
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
