"""Around every request: an id, a log line, a measurement; what a browser may do with replies."""

import hmac
import re
import secrets
import time
import uuid
from collections.abc import Callable
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.caller import Caller, calling
from app.observing.metrics import Metrics

_log = structlog.get_logger("sfumato.http")
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class FromWhere:
    """ASGI middleware: lets the audit trail know where a request comes from, as a hash with the
    installation's own key: equal addresses are known as equal, and cannot be told.
    """

    def __init__(self, app: ASGIApp, key: Callable[[], bytes | None]) -> None:
        self.app = app
        self._ask = key
        self._key: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        client = scope.get("client") if scope["type"] == "http" else None
        # Asked for while the database may be away; and nobody does anything by it.
        if client is None or scope["path"].startswith(("/health/", "/metrics")):
            await self.app(scope, receive, send)
            return
        if self._key is None:
            self._key = await self._asked()
        # While the database is away: a key that nobody else has.
        key = self._key or secrets.token_bytes(32)
        found = hmac.new(key, str(client[0]).encode(), "sha256").hexdigest()[:16]
        with calling(Caller(address=found)):
            await self.app(scope, receive, send)

    async def _asked(self) -> bytes | None:
        with suppress(SQLAlchemyError):
            return await run_in_threadpool(self._ask)
        return None


class RequestRecord:
    """ASGI middleware: gives each request an id, logs it, and counts it by route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode()))
                self._record(scope, message["status"], time.perf_counter() - started)
            await send(message)

        self.metrics.begun()
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            self.metrics.ended()
            structlog.contextvars.unbind_contextvars("request_id")

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "(none)")
        self.metrics.answered(scope["method"], route, status, seconds)
        _log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(seconds * 1000, 1),
        )


_HEADERS = {
    # Nothing from elsewhere, no inline script, nobody frames us. Pictures are drawn from bytes.
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"img-src 'self' blob: data:; connect-src 'self'; font-src 'self'; worker-src 'self'; "
    b"manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
}


class SecurityHeaders:
    """ASGI middleware: what a browser may do with our replies."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).extend(_HEADERS.items())
            await send(message)

        await self.app(scope, receive, send_with_headers)
