"""Webhooks and what was sent to them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AnyHttpUrl, Field

from app.api.schemas.base import Reply, Request
from app.store import DeliveryState, HookEvent

Url = Annotated[AnyHttpUrl, Field(max_length=2000, examples=["https://ci.example/sfumato"])]
Events = Annotated[list[HookEvent], Field(min_length=1, max_length=100)]


class HookCreate(Request):
    """A new webhook."""

    url: Url
    events: Events = Field(default_factory=lambda: list(HookEvent))


class HookChange(Request):
    """What is to change: what is not named stays."""

    url: Url | None = None
    events: Events | None = None
    enabled: bool | None = None


class HookOut(Reply):
    """A webhook without its secret."""

    id: int
    url: str
    events: list[HookEvent]
    enabled: bool
    note: str | None = Field(description="Why it was disabled, where Sfumato did so.")
    failing_since: datetime | None = Field(description="Since when nothing has come through.")
    created_at: datetime


class HookMade(HookOut):
    """A new webhook with its secret, seen this once."""

    secret: str


class DeliveryOut(Reply):
    """What a webhook was, or is to be, sent; `status` and `error` are the last try's."""

    id: int
    event: str
    state: DeliveryState
    payload: dict[str, Any]
    attempt: int
    due_at: datetime | None
    status: int | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None
