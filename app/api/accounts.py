"""Signing in from a browser, and the tokens that people sign in with."""

from datetime import timedelta

from fastapi import Request, Response

from app.api.dependencies import (
    COOKIE,
    DEFAULT_LIMIT,
    Admin,
    CsrfToken,
    CurrentSettings,
    Cursor,
    Limit,
    Reading,
    SessionCookie,
    SignInAttempt,
    Writing,
    WritingUnknown,
)
from app.api.images import Id
from app.api.limits import Router
from app.api.schemas.accounts import SessionOut, SignInIn, TokenCreate, TokenMade, TokenOut
from app.api.schemas.base import Page, page_of
from app.core.errors import NotAuthenticated
from app.loop import accounts
from app.store import SignIn, utc_now

router = Router(tags=["accounts"])


@router.post("/session", status_code=201)
def sign_in(
    body: SignInIn,
    request: Request,
    response: Response,
    attempt: SignInAttempt,
    session: WritingUnknown,
    settings: CurrentSettings,
) -> SessionOut:
    """Sign in with a token: sets an HttpOnly, SameSite=Strict cookie."""
    ttl = timedelta(hours=settings.session_hours)
    cookie, opened = accounts.sign_in(session, body.token, utc_now(), ttl)
    _set_cookie(request, response, cookie, ttl)
    return _session_out(opened, cookie)


@router.get("/session")
def show_session(
    request: Request,
    response: Response,
    session: WritingUnknown,
    settings: CurrentSettings,
    cookie: SessionCookie,
) -> SessionOut:
    """Who is signed in; puts the session's end off, so that nobody at work is thrown out."""
    if cookie is None:
        raise NotAuthenticated("nobody is signed in: sign in with a token")
    ttl = timedelta(hours=settings.session_hours)
    opened = accounts.find_sign_in(session, cookie, utc_now())
    opened.expires_at = utc_now() + ttl
    _set_cookie(request, response, cookie, ttl)
    return _session_out(opened, cookie)


@router.delete("/session", status_code=204, response_class=Response)
def sign_out(session: WritingUnknown, cookie: SessionCookie, csrf: CsrfToken = None) -> Response:
    """Sign out: the cookie is worth nothing any more."""
    if cookie is not None:
        accounts.check_csrf(cookie, csrf)
        accounts.find_sign_in(session, cookie, utc_now()).ended_at = utc_now()
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


def _set_cookie(request: Request, response: Response, cookie: str, ttl: timedelta) -> None:
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(ttl.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def _session_out(opened: SignIn, cookie: str) -> SessionOut:
    account = opened.token.account
    return SessionOut(
        account=account.name,
        role=account.role,
        csrf=accounts.csrf_token(cookie),
        expires_at=opened.expires_at,
    )


@router.get("/tokens")
def list_tokens(
    session: Reading, admin: Admin, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> Page[TokenOut]:
    """All tokens, without their secrets."""
    return page_of(TokenOut, accounts.page_of_tokens(session, cursor, limit))


@router.post("/tokens", status_code=201)
def create_token(body: TokenCreate, session: Writing, admin: Admin) -> TokenMade:
    """A token for an account, which is made if need be. Its text is shown this once."""
    text = accounts.create_token(session, body.name, body.role, admin)
    return TokenMade(name=body.name, role=body.role, token=text)


@router.delete("/tokens/{token_id}", status_code=204, response_class=Response)
def revoke_token(token_id: Id, session: Writing, admin: Admin) -> Response:
    """End a token and the browser sessions that were opened with it."""
    accounts.revoke_token(session, token_id, admin)
    return Response(status_code=204)
