"""Metrics for Prometheus, for whoever watches the installation."""

import hmac
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import State

from app.api.limits import Router
from app.api.rates import Rates, address_of
from app.loop.access import allow_installation
from app.loop.accounts import authenticate
from app.settings import Settings
from app.store import Database

router = Router(tags=["health"])
_bearer = HTTPBearer(
    scheme_name="Metrics",
    auto_error=False,
    description="The token of `SFUMATO_METRICS_TOKEN`, or an admin's.",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
# Scrapes have threads of their own: they are answered too when all others wait for a database.
_THREADS = CapacityLimiter(2)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, credentials: Credentials) -> Response:
    """Figures of this process and of the installation, in Prometheus' text format.

    Figures of projects, by their names, are for who sends a token.
    """
    # Not through dependencies: those that are no coroutines wait for a thread of all requests.
    state = request.app.state
    token, address = credentials.credentials if credentials else None, address_of(request)

    def text() -> bytes:
        whole = _sees_projects(state, token, address)
        found: bytes = state.metrics.text(whole)
        return found

    body = await to_thread.run_sync(text, limiter=_THREADS)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


def _sees_projects(state: State, token: str | None, address: str | None) -> bool:
    """Whether figures of projects are shown. Raises ``NotAuthenticated``, ``NotAllowed``."""
    settings: Settings = state.settings
    if settings.metrics_open or token is None:
        return settings.metrics_open
    # Of a setting, so that who watches is answered while the database is away.
    known = settings.metrics_token
    if known is not None and hmac.compare_digest(known.get_secret_value().encode(), token.encode()):
        return True
    rates: Rates = state.rates
    database: Database = state.database
    with rates.checking(token, address), database.reading() as session:
        allow_installation(authenticate(session, token))
    return True
