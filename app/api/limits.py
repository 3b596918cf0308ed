"""How much a request may hold before anybody looks at who sent it."""

from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_plus

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem
from app.core.plain import unfit


class LimitedRoute(APIRoute):
    """A route whose JSON is read up to ``json_body_bytes`` and no further.

    The framework reads a body whole before the route's dependencies run, so before anybody has
    signed in. Routes that take pictures or archives read their streams themselves, by limits of
    their own.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, reading no more than it may."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def limited(request: Request) -> Response:
            most = request.app.state.settings.json_body_bytes
            declared = request.headers.get("content-length", "")
            if declared.isdigit() and int(declared) > most:
                raise _too_large(most)
            return await handler(Request(request.scope, _counted(request.receive, most)))

        return limited


class Router(APIRouter):
    """A router of limited routes."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(route_class=LimitedRoute, **settings)


def _counted(receive: Receive, most: int) -> Callable[[], Awaitable[Message]]:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise _too_large(most)
        return message

    return counted


def _too_large(most: int) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {most} bytes"
    )


class PlainAddresses:
    """ASGI middleware: refuses paths and queries with characters that no engine should be given."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            query = scope.get("query_string", b"")
            found = unfit(scope["path"], layout="") or (
                unfit(unquote_plus(query.decode("latin-1"))) if b"%" in query else None
            )
            if found is not None:
                words = f"the address holds the character {found}: leave it out"
                status = HTTPStatus.UNPROCESSABLE_ENTITY
                refused = problem(Request(scope), status, "Invalid input", words)
                await refused(scope, receive, send)
                return
        await self.app(scope, receive, send)
