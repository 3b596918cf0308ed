"""Who may see and do what: the one rule, which every finder asks.

An account is an installation's admin, or a member of projects with a role in each. A project that
is not a reader's does not exist for them: what is foreign is answered as what is not there.
Whoever means to change something says so with the reader: no archived project is found for them.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, select, true
from sqlalchemy.orm import Session

from app.core.errors import NotAllowed, NotFound, ProjectArchived
from app.store import Account, Member, Project, Role


@dataclass(frozen=True)
class Reader:
    """Who asks: an account, and the project that its token is of, if it is of a single one.

    ``changes``: what they ask for is not for reading alone, so no archived project is found for it.
    """

    account: Account
    project_id: int | None = None
    changes: bool = False

    @property
    def of_installation(self) -> bool:
        """Whether it is an admin of the installation, who may do everything in every project."""
        return self.account.role is Role.ADMIN and self.project_id is None


# Accounts by which the service itself signs.
PROGRAMS = (IMPORT_ACCOUNT, CONSENSUS_ACCOUNT) = ("import", "consensus")
# Any number: what else takes such a lock in this database is our own.
_ACCESS_LOCK = 0x5F0A
# Whoever works on the installation's own machine: its commands, its workers. Never kept.
HERE = Reader(Account(name="this machine", role=Role.ADMIN))


def visible(reader: Reader) -> ColumnElement[bool]:
    """SQL: whether a reader may see the row of ``Project``."""
    of_token = true() if reader.project_id is None else Project.id == reader.project_id
    if reader.account.role is Role.ADMIN:
        return of_token
    of_member = (Member.project_id == Project.id) & (Member.account_id == reader.account.id)
    return of_token & exists().where(of_member)


def role_in(session: Session, reader: Reader, project_id: int) -> Role | None:
    """A reader's role in a project; None: it is not theirs to see. ``visible`` for one project."""
    if reader.project_id not in (None, project_id):
        return None
    if reader.account.role is Role.ADMIN:
        return Role.ADMIN
    return session.scalar(
        select(Member.role).where(
            Member.project_id == project_id, Member.account_id == reader.account.id
        )
    )


def allow(session: Session, reader: Reader, project_id: int, role: Role, missing: str) -> Role:
    """The reader's role in a project, which includes ``role``.

    Raises ``NotFound`` with the words ``missing`` when the project is not theirs to see,
    ``NotAllowed`` when they may see it, but not do this, and ``ProjectArchived`` when nobody may.
    """
    has = role_in(session, reader, project_id)
    if has is None:
        raise NotFound(missing)
    if not has.includes(role):
        raise NotAllowed(
            f"{reader.account.name!r} is {has} in this project; this needs the role {role}"
        )
    if reader.changes:
        found = select(Project.name, Project.archived_at).where(Project.id == project_id)
        for name, archived_at in session.execute(found):
            refuse_archived(name, archived_at)
    return has


def draws_in(project_id: ColumnElement[int] | int) -> ColumnElement[bool]:
    """SQL: whether an ``Account`` may draw in a project."""
    roles = [role for role in Role if role.includes(Role.ANNOTATOR)]
    of_member = exists().where(
        Member.project_id == project_id, Member.account_id == Account.id, Member.role.in_(roles)
    )
    return Account.disabled_at.is_(None) & ((Account.role == Role.ADMIN) | of_member)


def refuse_archived(name: str, archived_at: datetime | None) -> None:
    """Raise ``ProjectArchived`` for a project that is."""
    if archived_at is not None:
        raise ProjectArchived(
            f"project {name!r} was archived on {archived_at:%Y-%m-%d}: it can be read, exported "
            "and deleted from, but not changed; an admin of the project can bring it back"
        )


def lock_access(session: Session) -> None:
    """Hold, until the transaction ends, who belongs where: a new account joins all projects and a
    new project takes in all accounts, so one waits for the other. Taken before other locks.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_ACCESS_LOCK)))


def check_no_program(name: str) -> None:
    """Raise ``NotAllowed`` for an account of the service's own: nobody signs in as that."""
    if name in PROGRAMS:
        raise NotAllowed(f"the account {name!r} is the service's own: choose another name")


def allow_installation(reader: Reader) -> None:
    """Raise ``NotAllowed`` unless an admin of the installation asks, with a token of all of it."""
    if reader.of_installation:
        return
    name = reader.account.name
    why = (
        f"the token of {name!r} is of one project"
        if reader.account.role is Role.ADMIN
        else f"{name!r} is not an admin of the installation"
    )
    raise NotAllowed(f"{why}; this needs one")
