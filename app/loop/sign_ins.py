"""Browser sessions: opened with a token, a password or by a provider, known by a cookie, ended."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session, contains_eager

from app.core.blob import digest
from app.core.errors import NotAllowed, NotAuthenticated, NotFound
from app.loop.access import Reader
from app.loop.accounts import find_token, is_secret_of, parts_of
from app.loop.audit import record
from app.loop.paging import Page, paginate
from app.store import Account, SignIn, Token

_PREFIX = "web"


def sign_in_with_token(
    session: Session, text: str, now: datetime, ttl: timedelta
) -> tuple[str, SignIn]:
    """Open a browser's session with a token: what its cookie holds, and the session.

    Raises ``NotAuthenticated``.
    """
    token = find_token(session, text.strip())
    return open_session(session, token.account, token, now, ttl, how="token")


def open_session(
    session: Session,
    account: Account,
    token: Token | None,
    now: datetime,
    ttl: timedelta,
    how: Literal["token", "password", "provider"],
) -> tuple[str, SignIn]:
    """Open a browser's session of an account; with a token it is of that one's project.

    ``how``: what proved who they are, for the audit trail. Raises ``NotAuthenticated`` for an
    account that is disabled.
    """
    if account.disabled_at is not None:
        raise NotAuthenticated(f"the account {account.name!r} is disabled: ask an admin")
    secret = secrets.token_urlsafe(32)
    opened = SignIn(
        account_id=account.id,
        account=account,
        token_id=token.id if token else None,
        token=token,
        sha256=digest(secret.encode()),
        created_at=now,
        expires_at=now + ttl,
    )
    session.add(opened)
    session.flush()
    token_id = opened.token_id
    record(session, "session.open", account, sign_in=opened.id, token=token_id, how=how)
    return f"{_PREFIX}_{opened.id}_{secret}", opened


def find_sign_in(session: Session, cookie: str, now: datetime) -> SignIn:
    """The browser session that a cookie belongs to. Raises ``NotAuthenticated`` once it is over."""
    number, secret = parts_of(cookie, _PREFIX)
    found = session.get(SignIn, number) if number else None
    if not is_secret_of(found, secret):
        raise NotAuthenticated("the session is unknown: sign in again")
    revoked = found.token is not None and found.token.revoked_at is not None
    over = found.ended_at is not None or found.expires_at <= now
    if over or revoked or found.account.disabled_at is not None:
        raise NotAuthenticated("the session is over: sign in again")
    return found


def reader_of(found: SignIn) -> Reader:
    """Who asks from a browser session."""
    return Reader(found.account, found.token.project_id if found.token else None)


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


@dataclass(frozen=True)
class SignInView:
    """A browser session that is open. ``token``: the number of the token that it was opened with;
    None: a password, or a provider.
    """

    id: int
    account: str
    token: int | None
    created_at: datetime
    expires_at: datetime


def list_sign_ins(
    session: Session, reader: Reader, now: datetime, cursor: int | None, limit: int
) -> Page[SignInView]:
    """A page of the open sessions of the reader's account; of all, to an installation's admin."""
    query = (
        select(SignIn)
        .join(SignIn.account)
        .options(contains_eager(SignIn.account))
        .where(SignIn.ended_at.is_(None), SignIn.expires_at > now)
    )
    if not reader.of_installation:
        query = query.where(SignIn.account_id == reader.account.id)
    if reader.project_id is not None:
        query = query.join(SignIn.token).where(Token.project_id == reader.project_id)

    def view(one: SignIn) -> SignInView:
        return SignInView(one.id, one.account.name, one.token_id, one.created_at, one.expires_at)

    return paginate(session, query, SignIn.id, cursor, limit, view)


def end_sign_in(session: Session, reader: Reader, which: int, now: datetime) -> None:
    """End a session of one's own, or as an admin of the installation anybody's.

    Raises ``NotFound``.
    """
    found = session.get(SignIn, which)
    theirs = (
        found is not None
        and found.account_id == reader.account.id
        and reader.project_id in (None, found.token.project_id if found.token else 0)
    )
    if found is None or not (theirs or reader.of_installation):
        raise NotFound(f"there is no session {which}")
    found.ended_at = found.ended_at or now
    record(session, "session.end", reader.account, sign_in=which)


def end_sign_ins(session: Session, account: Account, now: datetime) -> None:
    """End all of an account's sessions."""
    theirs = (SignIn.account_id == account.id) & SignIn.ended_at.is_(None)
    session.execute(update(SignIn).where(theirs).values(ended_at=now))
