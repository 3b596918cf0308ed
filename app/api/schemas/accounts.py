"""Sessions and tokens."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from app.api.schemas.base import Reply, Request
from app.core.passwords import LONGEST, SHORTEST
from app.store import Role


class SignInIn(Request):
    """What a person signs in with: a token, or an account and its password."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "sfu_1_…"}]})

    token: str | None = Field(None, max_length=200)
    account: str | None = Field(None, max_length=200)
    password: str | None = Field(None, max_length=LONGEST)

    @model_validator(mode="after")
    def one_way(self) -> "SignInIn":
        """Refuse both ways at once, and half of one."""
        with_password = self.account is not None and self.password is not None
        without = self.account is None and self.password is None
        if (self.token is not None and without) or (self.token is None and with_password):
            return self
        raise ValueError("send a token, or an account with its password")


class SessionOut(Reply):
    """Who is signed in."""

    account: str
    role: Role | None = Field(
        description="`admin` of the installation, or the role in every project; none: see the "
        "role with each project."
    )
    csrf: str = Field(description="To be sent as X-CSRF-Token with whatever changes something.")
    expires_at: datetime


class WaysOut(Reply):
    """How one may sign in, beside tokens and passwords."""

    provider: str | None = Field(
        description="`Sign in with` this: begin with `POST /session/provider`. null: nobody does."
    )


class ProviderIn(Request):
    """A sign-in by the provider that begins."""

    page: Literal["/", "/review", "/dashboard"] = Field("/", description="Where to go afterwards.")


class ProviderBegun(Reply):
    """Where the browser has to go to sign in."""

    address: str


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


class AccountOut(Reply):
    """An account of the installation."""

    name: str
    role: Role | None = Field(
        description="`admin` of the installation, or the role in which it joins every project."
    )
    disabled: bool
    password: bool = Field(description="It has one.")
    created_at: datetime


class AccountChange(Request):
    """What is to change; what is left out stays."""

    role: Role | None = Field(None, description="null: it joins no further projects.")
    disabled: bool | None = None


class PasswordIn(Request):
    """A new password."""

    password: str = Field(max_length=LONGEST, description=f"{SHORTEST} characters at least.")
    present: str | None = Field(
        None, max_length=LONGEST, description="The present one, to change one's own."
    )


class OpenSessionOut(Reply):
    """A browser in which somebody is signed in."""

    id: int
    account: str
    token: int | None = Field(
        description="The token it was opened with; null: a password, or a provider."
    )
    created_at: datetime
    expires_at: datetime


class IdentityIn(Request):
    """Whom an account is to be at the provider of sign-ins."""

    subject: str | None = Field(
        None, max_length=255, description="By which the provider knows them for ever (`sub`)."
    )
    name: str | None = Field(
        None,
        max_length=255,
        description="Without a subject: what the provider calls them; without it, the account's.",
    )


class IdentityOut(Reply):
    """Whom an account is at the provider, or for whom it waits."""

    account: str
    issuer: str
    subject: str | None = Field(description="null: it waits for the first of that name.")
    name_there: str | None = Field(description="What the provider called them, if it is known.")
    created_at: datetime
    expires_at: datetime | None = Field(description="Until then it waits.")
