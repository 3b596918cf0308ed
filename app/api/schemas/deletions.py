"""What a deletion takes away, or would."""

from typing import Literal

from pydantic import Field

from app.api.schemas.base import Reply


class LearnedModelOut(Reply):
    """A model that was trained on masks that go."""

    id: int
    number: int


class DeletionOut(Reply):
    """What is gone, or what would be."""

    deleted: bool = Field(description="Whether it was carried out; else only counted.")
    kind: Literal["slice", "case", "project"]
    confirm: str = Field(description="What `confirm` must be to carry it out.")
    counts: dict[str, int] = Field(description="Rows by what they are, such as masks.")
    bytes: int = Field(description="Of pixels, masks and weights that nothing else uses.")
    models: list[LearnedModelOut] = Field(description="Models that learned from it; they stay.")
    jobs: list[int] = Field(description="Retrainings that were cancelled or begun again.")
