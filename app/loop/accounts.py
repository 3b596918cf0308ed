"""Accounts, their tokens and their browser sessions."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeGuard, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.blob import digest
from app.core.errors import AlreadyExists, NotAllowed, NotAuthenticated, NotFound
from app.core.names import checked_name
from app.loop.audit import record
from app.loop.paging import Page, paginate
from app.store import Account, Role, SignIn, Token, utc_now

_PREFIX = "sfu"
_COOKIE_PREFIX = "web"
Kept = TypeVar("Kept", Token, SignIn)


def create_token(session: Session, name: str, role: Role, by: Account | None = None) -> str:
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
    record(session, "token.create", by or account, subject=name, role=role.value, token=token.id)
    return f"{_PREFIX}_{token.id}_{secret}"


def has_tokens(session: Session) -> bool:
    """Whether anybody was ever given a token here."""
    return session.scalar(select(Token.id).limit(1)) is not None


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
    return _find_token(session, text).account


def _find_token(session: Session, text: str) -> Token:
    number, secret = _parts(text, _PREFIX)
    token = session.get(Token, number) if number else None
    if not _is_secret_of(token, secret):
        raise NotAuthenticated(
            "the token is unknown: ask an admin for one (`sfumato token create`)"
        )
    if token.revoked_at is not None:
        raise NotAuthenticated("the token was revoked: ask an admin for a new one")
    return token


def _parts(text: str, prefix: str) -> tuple[int | None, str]:
    """Number and secret of ``prefix_NUMBER_SECRET``."""
    given, _, rest = text.partition("_")
    number, _, secret = rest.partition("_")
    known = given == prefix and number.isascii() and number.isdigit() and len(number) < 10
    return (int(number) if known else None), secret


def _is_secret_of(kept: Kept | None, secret: str) -> TypeGuard[Kept]:
    expected = kept.sha256 if kept else digest(b"")
    return hmac.compare_digest(expected, digest(secret.encode())) and kept is not None


def sign_in(session: Session, token_text: str, now: datetime, ttl: timedelta) -> tuple[str, SignIn]:
    """Open a browser's session with a token: what its cookie holds, and the session.

    Raises ``NotAuthenticated``.
    """
    token = _find_token(session, token_text.strip())
    secret = secrets.token_urlsafe(32)
    opened = SignIn(
        token_id=token.id,
        token=token,
        sha256=digest(secret.encode()),
        created_at=now,
        expires_at=now + ttl,
    )
    session.add(opened)
    session.flush()
    return f"{_COOKIE_PREFIX}_{opened.id}_{secret}", opened


def find_sign_in(session: Session, cookie: str, now: datetime) -> SignIn:
    """The browser session that a cookie belongs to. Raises ``NotAuthenticated`` once it is over."""
    number, secret = _parts(cookie, _COOKIE_PREFIX)
    found = session.get(SignIn, number) if number else None
    if not _is_secret_of(found, secret):
        raise NotAuthenticated("the session is unknown: sign in again")
    if found.ended_at is not None or found.expires_at <= now or found.token.revoked_at is not None:
        raise NotAuthenticated("the session is over: sign in again")
    return found


def csrf_token(cookie: str) -> str:
    """What a page must send along to change anything: only a page of ours can know it."""
    return digest(f"csrf/{cookie}".encode())


def check_csrf(cookie: str, given: str | None) -> None:
    """Raise ``NotAllowed`` unless the page proves that it is ours."""
    if given is None or not hmac.compare_digest(csrf_token(cookie).encode(), given.encode()):
        raise NotAllowed(
            "the request came with a cookie but without its X-CSRF-Token: "
            "the session says it (`csrf`); programs send a bearer token instead"
        )


def require_role(account: Account, role: Role) -> None:
    """Raise ``NotAllowed`` when the account's role does not include ``role``."""
    if not account.role.includes(role):
        raise NotAllowed(f"{account.name!r} is {account.role}; this needs the role {role}")


@dataclass(frozen=True)
class TokenView:
    """A token without its secret."""

    id: int
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None


def _token_view(token: Token) -> TokenView:
    account = token.account
    return TokenView(token.id, account.name, account.role, token.created_at, token.revoked_at)


def page_of_tokens(session: Session, cursor: int | None, limit: int) -> Page[TokenView]:
    """A page of all tokens, oldest first."""
    return paginate(session, select(Token), Token.id, cursor, limit, _token_view)


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
