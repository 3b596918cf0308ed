"""Sessions and tokens."""

from datetime import datetime

from pydantic import Field

from app.api.schemas.base import Reply, Request
from app.store import Role


class SignInIn(Request):
    """What a person signs in with."""

    token: str = Field(max_length=200, examples=["sfu_1_…"])


class SessionOut(Reply):
    """Who is signed in."""

    account: str
    role: Role
    csrf: str = Field(description="To be sent as X-CSRF-Token with whatever changes something.")
    expires_at: datetime


class TokenCreate(Request):
    """A new token."""

    name: str = Field(max_length=200, examples=["dr-levi"])
    role: Role = Role.ANNOTATOR


class TokenMade(Reply):
    """A new token's text, seen this once."""

    name: str
    role: Role
    token: str


class TokenOut(Reply):
    """A token without its secret."""

    id: int
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None
