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
    role: Role | None = Field(
        description="`admin` of the installation, or the role in every project; none: see the "
        "role with each project."
    )
    csrf: str = Field(description="To be sent as X-CSRF-Token with whatever changes something.")
    expires_at: datetime


class TokenCreate(Request):
    """A new token."""

    name: str = Field(max_length=200, examples=["dr-levi"])
    role: Role = Role.ANNOTATOR
    project: str | None = Field(
        None, max_length=200, description="Good for this project alone; without one, for all."
    )


class TokenMade(Reply):
    """A new token's text, seen this once."""

    name: str
    role: Role
    project: str | None
    token: str


class TokenOut(Reply):
    """A token without its secret."""

    id: int
    name: str
    role: Role | None
    project: str | None
    created_at: datetime
    revoked_at: datetime | None


class MemberIn(Request):
    """What an account is to be in a project."""

    role: Role


class MemberOut(Reply):
    """An account's part in a project."""

    account: str
    role: Role
    since: datetime
    disabled: bool = Field(description="The account can sign in nowhere.")
