"""The members of a project."""

from typing import Annotated

from fastapi import Path, Response

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Cursor,
    EvenArchived,
    Limit,
    Reading,
    SignedIn,
    Writing,
)
from app.api.limits import Router
from app.api.projects import Name
from app.api.schemas.accounts import MemberIn, MemberOut
from app.api.schemas.base import Page, page_of
from app.loop import members
from app.loop.projects import find_project
from app.store import Role

router = Router(prefix="/projects/{name}/members", tags=["accounts"])
AccountName = Annotated[str, Path(max_length=200, examples=["dr-levi"])]


@router.get("")
def list_members(
    name: Name,
    session: Reading,
    admin: SignedIn,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[MemberOut]:
    """Who belongs to a project, and as what; admins of the installation are not listed."""
    project = find_project(session, admin, name, Role.ADMIN)
    return page_of(MemberOut, members.list_members(session, project, cursor, limit))


@router.put("/{account}")
def set_member(
    name: Name, account: AccountName, body: MemberIn, session: Writing, admin: EvenArchived
) -> MemberOut:
    """Take an account into a project, or change its role there: viewer, annotator (draws),
    reviewer (accepts, sees everybody's masks), admin (of this project).
    """
    project = find_project(session, admin, name, Role.ADMIN)
    made = members.set_member(session, project, account, body.role, admin.account)
    return MemberOut.model_validate(made)


@router.delete("/{account}", status_code=204, response_class=Response)
def remove_member(
    name: Name, account: AccountName, session: Writing, admin: EvenArchived
) -> Response:
    """Take an account out of a project: for it, the project is not there any more. Its masks
    stay.
    """
    project = find_project(session, admin, name, Role.ADMIN)
    members.remove_member(session, project, account, admin.account)
    return Response(status_code=204)
