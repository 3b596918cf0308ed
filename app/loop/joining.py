"""How accounts become members of projects: of one, of every one, of a new one."""

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.loop.audit import record
from app.store import Account, Member, Project, Role, utc_now


def join(
    session: Session, project: Project, account: Account, role: Role, by: Account | None
) -> Member:
    """The account's membership, made or changed to that role."""
    member = session.get(Member, (project.id, account.id))
    if member is None:
        member = Member(project_id=project.id, account_id=account.id, account=account, role=role)
        session.add(member)
    elif member.role is role:
        return member
    member.role = role
    session.flush()
    record(session, "member.set", by, project.id, member=account.name, role=role.value)
    return member


def join_everybody(session: Session, project: Project) -> None:
    """Make members of a new project of all whose account joins every one."""
    theirs = select(Account.id, Account.role).where(
        Account.role.is_not(None), Account.role != Role.ADMIN
    )
    rows = [
        {"project_id": project.id, "account_id": account, "role": role, "created_at": utc_now()}
        for account, role in session.execute(theirs)
    ]
    if rows:
        session.execute(insert(Member), rows)
        record(session, "members.join", None, project.id, count=len(rows))


def join_every_project(session: Session, account: Account, by: Account | None = None) -> None:
    """Make an account, in its own role, a member of all projects that there are."""
    if account.role is None or account.role is Role.ADMIN:
        return
    for project in session.scalars(select(Project).order_by(Project.id)):
        join(session, project, account, account.role, by)
