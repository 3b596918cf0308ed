"""Who belongs to a project, and as what. Admins of the installation need not belong."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session, contains_eager

from app.core.errors import InvalidInput, NotFound
from app.loop.access import check_no_program, lock_access
from app.loop.audit import record
from app.loop.departures import let_go
from app.loop.joining import join
from app.loop.paging import Page, paginate
from app.loop.projects import lock_project
from app.store import Account, Member, Project, Role, Token, utc_now


@dataclass(frozen=True)
class MemberView:
    """An account's part in a project."""

    account: str
    role: Role
    since: datetime
    disabled: bool


def _view(member: Member) -> MemberView:
    account = member.account
    return MemberView(account.name, member.role, member.created_at, account.disabled_at is not None)


def list_members(
    session: Session, project: Project, cursor: int | None, limit: int
) -> Page[MemberView]:
    """A page of a project's members."""
    query = (
        select(Member)
        .join(Member.account)
        .options(contains_eager(Member.account))
        .where(Member.project_id == project.id)
    )
    return paginate(session, query, Member.account_id, cursor, limit, _view)


def set_member(
    session: Session, project: Project, name: str, role: Role, by: Account | None
) -> MemberView:
    """Make an account a member of a project, or change its role there.

    Raises ``NotFound`` for an account that is not there, ``InvalidInput`` for an admin of the
    installation.
    """
    check_no_program(name)
    lock_access(session)
    lock_project(session, project.id, even_archived=True)
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        raise NotFound(f"there is no account {name[:140]!r}: make a token for it first")
    if account.role is Role.ADMIN:
        raise InvalidInput(f"{name!r} is an admin of the installation: that includes every project")
    member = join(session, project, account, role, by)
    let_go(session, account)
    return _view(member)


def remove_member(session: Session, project: Project, name: str, by: Account | None) -> None:
    """Take an account out of a project, whose tokens of it end; what it drew stays, what it held
    goes to others.

    Raises ``NotFound``.
    """
    # Before anything that refers to it is written: who renames it waits for such rows.
    lock_project(session, project.id, even_archived=True)
    member = session.scalar(
        select(Member)
        .join(Member.account)
        .where(Member.project_id == project.id, Account.name == name)
    )
    if member is None:
        raise NotFound(f"{name[:140]!r} is no member of project {project.name!r}")
    account = member.account
    session.delete(member)
    revoked = update(Token).where(
        Token.account_id == account.id,
        Token.project_id == project.id,
        Token.revoked_at.is_(None),
    )
    session.execute(revoked.values(revoked_at=utc_now()))
    session.flush()
    record(session, "member.remove", by, project.id, member=name)
    let_go(session, account)


def projects_of(session: Session, account: Account) -> list[tuple[str, Role]]:
    """The projects that an account is a member of, by name, and its role in each."""
    rows = session.execute(
        select(Project.name, Member.role)
        .join(Member, Member.project_id == Project.id)
        .where(Member.account_id == account.id)
        .order_by(Project.name)
    )
    return [(name, role) for name, role in rows]
