"""Imports and exports, and what came of them."""

from datetime import datetime
from typing import Any

from pydantic import Field

from app.api.schemas.base import Reply
from app.core.splits import Split
from app.store import JobState, TransferKind


class SpacingOut(Reply):
    """Millimetres from one row, column and slice to the next."""

    row: float
    column: float
    slice: float


class CaseTakenOut(Reply):
    """A case that came in, or would."""

    name: str
    split: Split
    slices: int
    height: int
    width: int
    spacing: SpacingOut | None
    plane: str | None
    channels: list[str]
    classes: list[str] = Field(description="Those that its masks show.")
    windows: list[str] = Field(description="Names under which it can be shown.")
    missing: int = Field(description="Places between its slices that are empty.")
    low: float
    high: float
    unit: str | None


class ImportOut(Reply):
    """What an import did; with ``checked``, what it would do."""

    layout: str
    found: str = Field(description="What the folder was taken for, in words.")
    checked: bool
    cases: int
    new_slices: int
    known_slices: int
    refused: dict[str, str] = Field(description="Cases that were left out, and why.")
    left_out: dict[str, str] = Field(description="Files that were left out, and why.")
    warnings: dict[str, list[str]] = Field(
        description="What of a case is not exactly as in its files; under '' what concerns all."
    )
    taken: list[CaseTakenOut]


class TransferOut(Reply):
    """An import, a check or an export, and how far it is."""

    id: int
    kind: TransferKind
    project: str
    layout: str = Field(description="Layout of an import, format of an export.")
    options: dict[str, Any]
    state: JobState
    progress: dict[str, Any] = Field(
        examples=[{"cases": 3, "total": 12, "slices": 240, "case": "p004"}]
    )
    report: dict[str, Any] | None = Field(
        description="As `ImportOut`; in lists without the cases taken."
    )
    error: str | None
    archive: bool = Field(description="It can be fetched, for a day after it ended.")
    cancel_requested: bool
    created_by: str | None
    created_at: datetime
    finished_at: datetime | None
