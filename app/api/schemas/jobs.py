"""Jobs."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from app.api.schemas.base import Reply, Request
from app.store import JobKind, JobState


class JobCreate(Request):
    """A job to start."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"project": "glioma", "kind": "retrain"}]},
    )

    project: str | None = None
    kind: Literal["retrain"] = "retrain"


class JobOut(Reply):
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
    error: str | None = Field(description="Of its last failure, in full.")
    failures: int = Field(description="How often the step that it is at has failed.")
    retry_at: datetime | None = Field(
        description="When what failed is tried again by itself; `POST /jobs` tries it now."
    )
    worker: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
