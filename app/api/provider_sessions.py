"""Signing in from a browser by a provider (OpenID Connect): docs/decisions/0023."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from starlette.responses import RedirectResponse

from app.api.dependencies import (
    CurrentDatabase,
    CurrentSettings,
    Looks,
    OwnPage,
    WritingUnknown,
    own_origin,
)
from app.api.limits import Router
from app.api.rates import Rates, address_of
from app.api.schemas.accounts import ProviderBegun, ProviderIn, WaysOut
from app.api.sessions import set_session_cookie
from app.core.errors import (
    BackToSignIn,
    NotFound,
    ProviderAway,
    ProviderRefused,
    TooManyRequests,
)
from app.core.vouched import Vouched
from app.loop import provider_sign_ins
from app.loop.group_roles import group_roles
from app.loop.identities import attempts_key
from app.loop.provider_sign_ins import ProviderRules
from app.oidc import attempt, exchange
from app.oidc.provider import Provider
from app.seen import REFUSED
from app.settings import Settings
from app.store import database_now

router = Router(prefix="/session", tags=["accounts"])
_COOKIE = "sfumato_provider"


def install(app: FastAPI, settings: Settings) -> None:
    """Prepare an application for the provider that its settings name, or for there being none.

    Raises ``InvalidInput`` where they cannot be meant.
    """
    app.state.provider = Provider(settings) if settings.oidc_issuer else None
    roles = group_roles(settings.oidc_roles)
    app.state.provider_rules = ProviderRules(settings.oidc_new_accounts, roles)
    app.add_exception_handler(BackToSignIn, _back_to_sign_in)


def _back_to_sign_in(request: Request, error: Exception) -> Response:
    # Of a fixed list: nothing that came from outside reaches the page.
    why = error.why if isinstance(error, BackToSignIn) else "untrusted"
    return _elsewhere(request, f"/#sign-in={why}")


def _elsewhere(request: Request, where: str) -> RedirectResponse:
    """A reply that ends an attempt: whatever came of it, it cannot be used again."""
    reply = RedirectResponse(where, 303, {"Cache-Control": "no-store"})
    name, secure = _cookie_of(request)
    reply.delete_cookie(name, secure=secure, httponly=True, samesite="lax")
    return reply


def _cookie_of(request: Request) -> tuple[str, bool]:
    """The cookie's name, and whether it is for TLS alone: then no other host can set it."""
    secure = request.url.scheme == "https"
    return (f"__Host-{_COOKIE}" if secure else _COOKIE), secure


def _provider(request: Request) -> Provider:
    found: Provider | None = request.app.state.provider
    if found is None:
        raise NotFound("nobody signs in by a provider here: see docs/sign-in.md")
    return found


def _attempts_key(provider: "TheProvider", database: CurrentDatabase) -> bytes:
    with database.reading() as session:
        key = attempts_key(session)
    if key is None:
        raise ProviderAway("the server is not ready for this yet: try again in a moment")
    return key


def _callback(request: Request, settings: CurrentSettings) -> str:
    return f"{own_origin(request, settings)}{router.prefix}/provider/callback"


TheProvider = Annotated[Provider, Depends(_provider)]
AttemptsKey = Annotated[bytes, Depends(_attempts_key)]
Callback = Annotated[str, Depends(_callback)]


@router.get("/ways")
def show_ways(settings: CurrentSettings) -> WaysOut:
    """How one may sign in here, beside tokens and passwords."""
    return WaysOut(provider=settings.oidc_name if settings.oidc_issuer else None)


@router.post("/provider")
async def begin(
    own: OwnPage,
    provider: TheProvider,
    body: ProviderIn,
    key: AttemptsKey,
    callback: Callback,
    request: Request,
    response: Response,
) -> ProviderBegun:
    """Begin to sign in by the provider: where the browser has to go. It comes back to
    `/session/provider/callback`, within ten minutes.
    """
    begun = attempt.begun(provider.issuer, body.page)
    address = await exchange.address(provider, begun, callback)
    name, secure = _cookie_of(request)
    response.set_cookie(
        name,
        attempt.sealed(begun, key, time.time()),
        max_age=attempt.SECONDS,
        httponly=True,
        # Not strict: it has to come along when the provider sends the browser back.
        samesite="lax",
        secure=secure,
    )
    return ProviderBegun(address=address)


def _arriving(request: Request, seen: Looks, database: CurrentDatabase) -> Iterator[None]:
    rates: Rates = request.app.state.rates
    try:
        with rates.signing_in(address_of(request)):
            yield
    except TooManyRequests as error:
        raise BackToSignIn("often") from error
    except ProviderAway as error:
        raise BackToSignIn("away") from error
    except ProviderRefused as refused:
        if refused.who is None:
            seen.note(REFUSED, about={"by": "provider"})
        else:
            with database.writing() as session:
                provider_sign_ins.note_refused(session, refused)
        raise BackToSignIn(refused.why) from refused


@dataclass(frozen=True)
class _Arrival:
    """Whom the provider vouches for, and the page that they came from."""

    who: Vouched
    page: str


async def _arrival(
    provider: TheProvider,
    arriving: Annotated[None, Depends(_arriving, scope="function")],
    key: AttemptsKey,
    callback: Callback,
    request: Request,
) -> _Arrival:
    name, _ = _cookie_of(request)
    begun = attempt.unsealed(request.cookies.get(name), key, time.time())
    who = await exchange.arrived(provider, begun, callback, request.query_params)
    return _Arrival(who, begun.page)


@router.get("/provider/callback", status_code=303, response_class=RedirectResponse)
def arrive(
    # Before a session is opened: the provider is asked meanwhile.
    arrival: Annotated[_Arrival, Depends(_arrival)],
    request: Request,
    session: WritingUnknown,
    settings: CurrentSettings,
) -> RedirectResponse:
    """Where the provider sends browsers: opens a session as `POST /session` does, and leads to the
    page. Who is not let in finds the reason there.
    """
    ttl = timedelta(hours=settings.session_hours)
    rules: ProviderRules = request.app.state.provider_rules
    cookie, _ = provider_sign_ins.sign_in(session, arrival.who, rules, database_now(session), ttl)
    reply = _elsewhere(request, arrival.page)
    set_session_cookie(request, reply, cookie, ttl)
    return reply
