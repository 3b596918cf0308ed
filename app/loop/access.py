"""Accounts and their tokens, and the audit trail of what they did."""

import hmac
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import AlreadyExists, NotAllowed, NotAuthenticated, NotFound
from app.loop.naming import checked_name
from app.store import Account, Event, Role, Token, utc_now
from app.store.pixels import digest

_PREFIX = "sfu"


def create_token(session: Session, name: str, role: Role) -> str:
    """A new token for the account of that name, which is made if need be.

    Returns the token's text, the only time that it is seen. Raises ``AlreadyExists`` when the
    account has another role.
    """
    account = named_account(session, checked_name("account", name), role)
    if account.role is not role:
        raise AlreadyExists(
            f"the account {name!r} is {account.role}, not {role}: choose another name"
        )
    secret = secrets.token_urlsafe(32)
    token = Token(account_id=account.id, sha256=digest(secret.encode()))
    session.add(token)
    session.flush()
    record(session, "token.create", account, subject=name, role=role.value, token=token.id)
    return f"{_PREFIX}_{token.id}_{secret}"


def named_account(session: Session, name: str, role: Role) -> Account:
    """The account of that name; made with the role when there is none."""
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        account = Account(name=name, role=role)
        session.add(account)
        session.flush()
    return account


def authenticate(session: Session, text: str) -> Account:
    """The account behind a token's text. Raises ``NotAuthenticated``.

    The row is found by the token's number, which is no secret; the secret is then compared by
    its hash and in constant time.
    """
    prefix, _, rest = text.partition("_")
    number, _, secret = rest.partition("_")
    token = None
    if prefix == _PREFIX and number.isascii() and number.isdigit() and len(number) < 10:
        token = session.get(Token, int(number))
    expected = token.sha256 if token else digest(b"")
    matches = hmac.compare_digest(expected, digest(secret.encode()))
    if token is None or not matches:
        raise NotAuthenticated(
            "the token is unknown: ask an admin for one (`sfumato token create`)"
        )
    if token.revoked_at is not None:
        raise NotAuthenticated("the token was revoked: ask an admin for a new one")
    return token.account


def require_role(account: Account, role: Role) -> None:
    """Raise ``NotAllowed`` when the account's role does not include ``role``."""
    if not account.role.includes(role):
        raise NotAllowed(f"{account.name!r} is {account.role}; this needs the role {role}")


def list_tokens(session: Session) -> Sequence[Token]:
    """All tokens, oldest first."""
    return session.scalars(select(Token).order_by(Token.id)).all()


def revoke_token(session: Session, token_id: int, by: Account | None = None) -> Token:
    """End a token's life; one that is revoked already stays so. Raises ``NotFound``."""
    token = session.get(Token, token_id)
    if token is None:
        raise NotFound(f"there is no token {token_id}: `sfumato token list` shows them")
    token.revoked_at = token.revoked_at or utc_now()
    record(session, "token.revoke", by, token=token.id)
    return token


def record(
    session: Session,
    action: str,
    account: Account | None,
    project_id: int | None = None,
    **detail: Any,
) -> None:
    """Add a line to the audit trail."""
    account_id = account.id if account else None
    session.add(Event(action=action, account_id=account_id, project_id=project_id, detail=detail))
