"""Projects, their audit trail, and what may be asked for by name."""

from datetime import datetime
from typing import Any

from pydantic import AliasPath, ConfigDict, Field

from app.api.schemas.base import Reply, Request
from app.core.project_settings import ProjectSettings
from app.store import Role


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


class ProjectChange(Request):
    """What to change; what is left out stays."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": {"strategy": "clasp", "size": 30}}]},
    )

    query: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    name: str | None = Field(default=None, max_length=200, examples=["glioma-2"])
    archived: bool | None = Field(
        default=None, description="true: it is read alone from now on; false: it goes on."
    )


class ProjectOut(Reply):
    """A project and its settings."""

    id: int
    name: str
    classes: list[str]
    channels: list[str]
    query: dict[str, Any]
    training: dict[str, Any]
    created_at: datetime
    archived_at: datetime | None = Field(description="Since when it is read alone.")
    role: Role = Field(description="The reader's role in it.")


class EventOut(Reply):
    """One line of the audit trail."""

    id: int
    at: datetime
    account: int | None = Field(validation_alias="account_id")
    by: str | None = Field(validation_alias=AliasPath("account", "name"), default=None)
    address: str | None = Field(description="A hash of where it was asked from.")
    action: str
    detail: dict[str, Any]


class EntryOut(Reply):
    """A name of the catalogue."""

    name: str
    package: str = Field(description="The package that brings it.")
    words: str | None = Field(description="What it means, for streams.")
    error: str | None = Field(description="Why no running worker can load it, if that is so.")


class CatalogueOut(Reply):
    """What may be asked for by name, the things of installed packages included."""

    measures: list[EntryOut]
    strategies: list[EntryOut]
    streams: list[EntryOut]
    layouts: list[EntryOut]
    writers: list[EntryOut]
    networks: list[EntryOut]
    recipes: list[EntryOut]
