"""Signing in from a browser."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request, Response

from app.api.dependencies import (
    COOKIE,
    DEFAULT_LIMIT,
    CsrfToken,
    CurrentDatabase,
    CurrentSettings,
    Cursor,
    Limit,
    Looks,
    OwnPage,
    Reading,
    SessionCookie,
    SignedIn,
    SignInAttempt,
    Writing,
    WritingUnknown,
)
from app.api.images import Id
from app.api.limits import Router
from app.api.schemas.accounts import OpenSessionOut, SessionOut, SignInIn
from app.api.schemas.base import Page, page_of
from app.core.errors import NotAuthenticated
from app.core.passwords import is_password
from app.loop import sign_ins
from app.loop.account_changes import find_password
from app.loop.accounts import find_token
from app.seen import REFUSED
from app.store import Account, Database, SignIn, database_now

router = Router(tags=["accounts"])


@dataclass(frozen=True)
class _Proof:
    """What somebody signs in with, and it was right: a token, or a password."""

    token: str | None
    account_id: int | None
    password_hash: str | None = None


def _proof(
    body: SignInIn, attempt: SignInAttempt, database: CurrentDatabase, seen: Looks
) -> _Proof:
    try:
        return _proved(body, database)
    except NotAuthenticated:
        seen.note(REFUSED, about=_tried(body, database))
        raise


def _tried(body: SignInIn, database: Database) -> dict[str, str]:
    """What the audit keeps of a failed attempt: whose password, where there is such an account."""
    if body.token is not None:
        return {"by": "token"}
    with database.reading() as session:
        account_id, _ = find_password(session, body.account or "")
    known = {"tried": body.account} if account_id is not None and body.account else {}
    return {"by": "password", **known}


def _proved(body: SignInIn, database: Database) -> _Proof:
    if body.token is not None:
        with database.reading() as session:
            find_token(session, body.token.strip())
        return _Proof(body.token, None)
    with database.reading() as session:
        account_id, kept = find_password(session, body.account or "")
    # Outside of any transaction: it takes a while, on purpose.
    if not is_password(kept, body.password or ""):
        raise NotAuthenticated("the account or its password is wrong")
    return _Proof(None, account_id, kept)


@router.post("/session", status_code=201)
def sign_in(
    own: OwnPage,
    proof: Annotated[_Proof, Depends(_proof)],
    request: Request,
    response: Response,
    session: WritingUnknown,
    settings: CurrentSettings,
) -> SessionOut:
    """Sign in with a token, or an account's password: sets an HttpOnly, SameSite=Strict cookie."""
    ttl, now = timedelta(hours=settings.session_hours), database_now(session)
    if proof.token is not None:
        cookie, opened = sign_ins.sign_in_with_token(session, proof.token, now, ttl)
    else:
        account = session.get_one(Account, proof.account_id)
        if account.password_hash != proof.password_hash:
            raise NotAuthenticated("the password was changed just now: sign in with the new one")
        cookie, opened = sign_ins.open_session(session, account, None, now, ttl, how="password")
    set_session_cookie(request, response, cookie, ttl)
    return _session_out(opened, cookie)


def _own_cookie(database: CurrentDatabase, cookie: SessionCookie) -> str:
    """The cookie of a session that goes on: whoever has none keeps no writer waiting."""
    if cookie is None:
        raise NotAuthenticated("nobody is signed in: sign in with a token")
    with database.reading() as session:
        sign_ins.find_sign_in(session, cookie, database_now(session))
    return cookie


# Declared before a session.
OwnCookie = Annotated[str, Depends(_own_cookie)]


@router.get("/session")
def show_session(
    request: Request,
    response: Response,
    cookie: OwnCookie,
    session: WritingUnknown,
    settings: CurrentSettings,
) -> SessionOut:
    """Who is signed in; puts the session's end off, so that nobody at work is thrown out."""
    ttl = timedelta(hours=settings.session_hours)
    opened = sign_ins.find_sign_in(session, cookie, database_now(session))
    opened.expires_at = database_now(session) + ttl
    set_session_cookie(request, response, cookie, ttl)
    return _session_out(opened, cookie)


@router.delete("/session", status_code=204, response_class=Response)
def sign_out(cookie: OwnCookie, session: WritingUnknown, csrf: CsrfToken = None) -> Response:
    """Sign out: the cookie is worth nothing any more."""
    sign_ins.check_csrf(cookie, csrf)
    opened = sign_ins.find_sign_in(session, cookie, database_now(session))
    sign_ins.end_sign_in(session, sign_ins.reader_of(opened), opened.id, database_now(session))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


def set_session_cookie(request: Request, response: Response, cookie: str, ttl: timedelta) -> None:
    """Let a browser keep its session."""
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(ttl.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def _session_out(opened: SignIn, cookie: str) -> SessionOut:
    reader = sign_ins.reader_of(opened)
    return SessionOut(
        account=reader.account.name,
        role=reader.account.role if reader.project_id is None else None,
        csrf=sign_ins.csrf_token(cookie),
        expires_at=opened.expires_at,
    )


@router.get("/sessions")
def list_sessions(
    session: Reading, reader: SignedIn, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> Page[OpenSessionOut]:
    """The browsers in which one is signed in; an admin of the installation sees everybody's."""
    page = sign_ins.list_sign_ins(session, reader, database_now(session), cursor, limit)
    return page_of(OpenSessionOut, page)


@router.delete("/sessions/{session_id}", status_code=204, response_class=Response)
def end_session(session_id: Id, session: Writing, reader: SignedIn) -> Response:
    """Sign a browser out from elsewhere."""
    sign_ins.end_sign_in(session, reader, session_id, database_now(session))
    return Response(status_code=204)
