"""Accounts, and the tokens that people and programs sign in with."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Response
from sqlalchemy.orm import Session

from app.api.dependencies import (
    DEFAULT_LIMIT,
    CurrentDatabase,
    Cursor,
    EvenArchived,
    InstallationAdmin,
    Limit,
    ProjectName,
    Reading,
    SignedIn,
    SignInAttempt,
    Writing,
)
from app.api.images import Id
from app.api.limits import Router
from app.api.schemas.accounts import (
    AccountChange,
    AccountOut,
    PasswordIn,
    TokenCreate,
    TokenMade,
    TokenOut,
)
from app.api.schemas.base import Page, page_of
from app.core.errors import NotAuthenticated
from app.core.passwords import hash_password, is_password
from app.loop import account_changes, accounts, tokens
from app.loop.access import Reader, allow_installation
from app.loop.projects import find_project
from app.store import Project, Role

router = Router(tags=["accounts"])
AccountName = Annotated[str, Path(max_length=200, examples=["dr-levi"])]


@router.get("/accounts")
def list_accounts(
    session: Reading, admin: InstallationAdmin, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> Page[AccountOut]:
    """All accounts of the installation, the service's own among them."""
    return page_of(AccountOut, account_changes.list_accounts(session, cursor, limit))


@router.patch("/accounts/{account}")
def change_account(
    account: AccountName, body: AccountChange, session: Writing, admin: InstallationAdmin
) -> AccountOut:
    """Change somebody's role in the installation, shut them out, or let them in again."""
    changed = account_changes.find_account(session, account)
    if "role" in body.model_fields_set:
        changed = account_changes.set_role(session, admin, account, body.role)
    if body.disabled is not None:
        changed = account_changes.set_disabled(session, admin, account, body.disabled)
    return AccountOut.model_validate(account_changes.account_view(changed))


@dataclass(frozen=True)
class _NewPassword:
    """What is kept of it, and whether whoever sets it knows the present one."""

    hashed: str
    knows: bool


def _new_password(
    account: AccountName,
    body: PasswordIn,
    reader: SignedIn,
    attempt: SignInAttempt,
    database: CurrentDatabase,
) -> _NewPassword:
    """A wrong present one counts as a failed attempt to sign in."""
    own = account == reader.account.name and reader.project_id is None
    if body.present is None or not own:
        allow_installation(reader)
        return _NewPassword(hash_password(body.password, of=account), knows=False)
    with database.reading() as session:
        _, kept = account_changes.find_password(session, account)
    if not is_password(kept, body.present):
        raise NotAuthenticated("the present password is wrong")
    return _NewPassword(hash_password(body.password, of=account), knows=True)


# Before a session is opened: hashing takes a while.
NewPassword = Annotated[_NewPassword, Depends(_new_password)]


@router.put("/accounts/{account}/password", status_code=204, response_class=Response)
def set_password(
    account: AccountName, reader: SignedIn, new: NewPassword, session: Writing
) -> Response:
    """Give an account a password to sign in with from a browser; its sessions end.

    An admin of the installation gives anybody theirs; one's own is changed by who knows it.
    """
    account_changes.set_password(session, reader, account, new.hashed, new.knows)
    return Response(status_code=204)


@router.delete("/accounts/{account}/password", status_code=204, response_class=Response)
def remove_password(account: AccountName, admin: InstallationAdmin, session: Writing) -> Response:
    """Let an account sign in with tokens alone; its sessions end."""
    account_changes.set_password(session, admin, account, None)
    return Response(status_code=204)


@router.get("/tokens")
def list_tokens(
    session: Reading,
    admin: SignedIn,
    project: ProjectName = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[TokenOut]:
    """All tokens, without their secrets, or those that are good for one project alone."""
    of_project = _administered(session, admin, project)
    return page_of(TokenOut, tokens.page_of_tokens(session, of_project, cursor, limit))


@router.post("/tokens", status_code=201)
def create_token(body: TokenCreate, session: Writing, admin: EvenArchived) -> TokenMade:
    """A token for an account, which is made if need be. Its text is shown this once.

    With a project it is good for that project alone, and its admins may make it.
    """
    project = _administered(session, admin, body.project)
    text = accounts.create_token(session, body.name, body.role, admin, project)
    return TokenMade(name=body.name, role=body.role, project=body.project, token=text)


def _administered(session: Session, admin: Reader, name: str | None) -> Project | None:
    """The project of that name, for its admins; none: the installation, for its own."""
    if name is not None:
        return find_project(session, admin, name, Role.ADMIN)
    allow_installation(admin)
    return None


@router.delete("/tokens/{token_id}", status_code=204, response_class=Response)
def revoke_token(token_id: Id, session: Writing, admin: EvenArchived) -> Response:
    """End a token and the browser sessions that were opened with it."""
    tokens.revoke_token(session, admin, token_id)
    return Response(status_code=204)
