"""Accounts and their tokens: made, and known again by a secret."""

import hmac
import secrets
from typing import TypeGuard, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.blob import digest
from app.core.errors import AlreadyExists, NotAllowed, NotAuthenticated
from app.core.names import checked_name
from app.loop.access import HERE, Reader, check_no_program, lock_access
from app.loop.audit import record
from app.loop.joining import join, join_every_project
from app.store import Account, Member, Project, Role, SignIn, Token

_PREFIX = "sfu"
Kept = TypeVar("Kept", Token, SignIn)


def create_token(
    session: Session,
    name: str,
    role: Role,
    by: Reader = HERE,
    project: Project | None = None,
) -> str:
    """A new token for the account of that name, which is made if need be.

    Without a project the account joins every project in that role, those to come included, and as
    ``admin`` it is one of the installation. With a project the token is good for that alone, and
    the account joins it. Returns the token's text, the only time that it is seen. Raises
    ``AlreadyExists`` when the account has another role, ``NotAllowed`` when a project's admin asks
    for a token of an account that is more than a member of that project.
    """
    check_no_program(name)
    lock_access(session)
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        account = new_account(session, name, role if project is None else None)
    elif not by.of_installation and not _of_project_alone(session, account, project):
        raise NotAllowed(
            f"the account {name!r} belongs to other projects too: with a token of it you would be "
            "them there; an admin of the installation makes it, or you add the account as a member"
        )
    if project is None:
        _check_joins_all(account, role)
    elif account.role is not Role.ADMIN:
        _join_one(session, project, account, role, by.account)
    elif role is not Role.ADMIN:
        raise AlreadyExists(f"{name!r} is an admin of the installation: choose another name")
    secret = secrets.token_urlsafe(32)
    token = Token(
        account_id=account.id,
        project_id=project.id if project else None,
        sha256=digest(secret.encode()),
    )
    session.add(token)
    session.flush()
    of_project = {} if project is None else {"project": project.name}
    detail = {"subject": name, "role": role.value, "token": token.id, **of_project}
    record(session, "token.create", by.account, project.id if project else None, **detail)
    return f"{_PREFIX}_{token.id}_{secret}"


def new_account(session: Session, name: str, role: Role | None) -> Account:
    """A new account; with a role it joins every project. Raises ``InvalidInput`` for its name."""
    account = Account(name=checked_name("account", name), role=role)
    session.add(account)
    session.flush()
    join_every_project(session, account)
    return account


def _of_project_alone(session: Session, account: Account, project: Project | None) -> bool:
    """Whether an account is nothing but a member of that one project."""
    if project is None or account.role is not None:
        return False
    theirs = session.scalars(select(Member.project_id).where(Member.account_id == account.id))
    return set(theirs) == {project.id}


def _check_joins_all(account: Account, role: Role) -> None:
    if account.role is None:
        raise AlreadyExists(
            f"the account {account.name!r} is a member of single projects: name one "
            "(`--project`), or give the account a role in all of them first"
        )
    if account.role is not role:
        raise AlreadyExists(
            f"the account {account.name!r} is {account.role}, not {role}: choose another name"
        )


def _join_one(
    session: Session, project: Project, account: Account, role: Role, by: Account | None
) -> None:
    member = session.get(Member, (project.id, account.id))
    if member is not None and member.role is not role:
        raise AlreadyExists(
            f"the account {account.name!r} is {member.role} of project {project.name!r}, not "
            f"{role}: change that first, or choose another name"
        )
    join(session, project, account, role, by)


def has_tokens(session: Session) -> bool:
    """Whether anybody was ever given a token here."""
    return session.scalar(select(Token.id).limit(1)) is not None


def program_account(session: Session, name: str) -> Account:
    """The account of that name by which the service itself signs; made when there is none."""
    account = session.scalar(select(Account).where(Account.name == name))
    return account or new_account(session, name, None)


def authenticate(session: Session, text: str) -> Reader:
    """Whoever a token's text belongs to. Raises ``NotAuthenticated``.

    The row is found by the token's number, which is no secret; the secret is then compared by
    its hash and in constant time.
    """
    return reader_of(find_token(session, text))


def reader_of(token: Token) -> Reader:
    """Who asks with a token."""
    return Reader(token.account, token.project_id)


def find_token(session: Session, text: str) -> Token:
    """The token of that text. Raises ``NotAuthenticated``."""
    number, secret = parts_of(text, _PREFIX)
    token = session.get(Token, number) if number else None
    if not is_secret_of(token, secret):
        raise NotAuthenticated(
            "the token is unknown: ask an admin for one (`sfumato token create`)"
        )
    if token.revoked_at is not None:
        raise NotAuthenticated("the token was revoked: ask an admin for a new one")
    if token.account.disabled_at is not None:
        raise NotAuthenticated(f"the account {token.account.name!r} is disabled: ask an admin")
    return token


def parts_of(text: str, prefix: str) -> tuple[int | None, str]:
    """Number and secret of ``prefix_NUMBER_SECRET``."""
    given, _, rest = text.partition("_")
    number, _, secret = rest.partition("_")
    known = given == prefix and number.isascii() and number.isdigit() and len(number) < 10
    return (int(number) if known else None), secret


def is_secret_of(kept: Kept | None, secret: str) -> TypeGuard[Kept]:
    """Whether a secret is that of a token or a session; takes as long when there is none."""
    expected = kept.sha256 if kept else digest(b"")
    return hmac.compare_digest(expected, digest(secret.encode())) and kept is not None
