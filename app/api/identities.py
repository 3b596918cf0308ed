"""Whom accounts are at the provider of sign-ins: for admins of the installation."""

from typing import Annotated

from fastapi import Path, Response

from app.api.dependencies import (
    DEFAULT_LIMIT,
    CurrentSettings,
    Cursor,
    InstallationAdmin,
    Limit,
    Reading,
    Writing,
)
from app.api.limits import Router
from app.api.schemas.accounts import IdentityIn, IdentityOut
from app.api.schemas.base import Page, page_of
from app.core.errors import InvalidInput
from app.loop import identities
from app.store import database_now

router = Router(tags=["accounts"])
AccountName = Annotated[str, Path(max_length=200, examples=["dr-levi"])]


@router.get("/identities")
def list_identities(
    session: Reading, admin: InstallationAdmin, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> Page[IdentityOut]:
    """Whom accounts are at the provider, and for whom they wait."""
    return page_of(IdentityOut, identities.list_identities(session, cursor, limit))


@router.put("/accounts/{account}/identity")
def link_identity(
    account: AccountName,
    body: IdentityIn,
    settings: CurrentSettings,
    admin: InstallationAdmin,
    session: Writing,
) -> IdentityOut:
    """Link an account to somebody at the provider, by their subject (`sub`) there; or, without
    one, let the first of that name become the account's within a week. Admins' accounts need the
    subject.
    """
    issuer = settings.oidc_issuer
    if issuer is None:
        raise InvalidInput("nobody signs in by a provider here: see docs/sign-in.md")
    now = database_now(session)
    if body.subject is not None:
        found = identities.link(session, admin, account, issuer, body.subject, now)
    else:
        name = body.name or account
        found = identities.allow_by_name(session, admin, account, issuer, name, now)
    return IdentityOut.model_validate(identities.identity_view(found))


@router.delete("/accounts/{account}/identity", status_code=204, response_class=Response)
def unlink_identity(account: AccountName, admin: InstallationAdmin, session: Writing) -> Response:
    """Let an account sign in by the provider no more; its sessions end."""
    identities.unlink(session, admin, account, database_now(session))
    return Response(status_code=204)
