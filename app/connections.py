"""What a connection may cost: how many there are, and how slowly their clients may send or read.

uvicorn answers 503 to requests beyond a number, but lets connections without a request lie open
until the process has no files left; and it waits for ever for a header or a body that has begun.
"""

import asyncio
import json
import resource
from functools import cached_property
from http import HTTPStatus
from typing import Any, ClassVar, Literal

import h11
import structlog
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.limit_settings import LimitSettings
from app.settings import Settings

_log = structlog.get_logger("sfumato.connections")
_RETRY_SECONDS = 5


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol with clocks and a count. Its limits are those of the environment.

    For plain uvicorn: `--http app.connections:GuardedProtocol`.
    """

    given: ClassVar[LimitSettings | None] = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.limits = self.given or Settings()
        self._owed: Literal["header", "body"] | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._reply_clock: asyncio.TimerHandle | None = None
        self._received = 0
        self._excused = False
        # Since when no request is under way, by the loop's clock.
        self._idle_since = 0.0

    @property
    def idle(self) -> bool:
        """Whether no request of it is under way."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def address(self) -> str | None:
        """Who has connected; None for a local socket."""
        return self.client[0] if self.client else None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, if need be in the place of one that only lies open."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        others = [c for c in self.connections if isinstance(c, GuardedProtocol) and c is not self]
        same = [c for c in others if c.address == self.address]
        if self._room_among(others, _most(self.limits)) and (
            self.address is None
            or self.address in self._trusted
            or self._room_among(same, self.limits.connections_per_address)
        ):
            self._expect("header")
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections are open")

    def data_received(self, data: bytes) -> None:
        """Take what came, and keep to the clock of what is still owed."""
        self._received += len(data)
        super().data_received(data)
        self._excused |= self.flow.read_paused
        self._watch(begun=True)

    def on_response_complete(self) -> None:
        """Wait for the next request; between two, uvicorn's own clock runs."""
        super().on_response_complete()
        self._idle_since = self.loop.time()
        self._watch(begun=False)

    def send_400_response(self, msg: str) -> None:
        """Say that it is no HTTP. uvicorn's own fails where a reply is under way already."""
        self._refuse(HTTPStatus.BAD_REQUEST, "what came is no HTTP request")

    def pause_writing(self) -> None:
        """The client takes less than we send."""
        super().pause_writing()
        if self.limits.reply_seconds:
            self._reply_clock = self.loop.call_later(self.limits.reply_seconds, self._abandon)

    def resume_writing(self) -> None:
        """It has taken enough."""
        super().resume_writing()
        _stop(self._reply_clock)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._expect(None)
        _stop(self._reply_clock)
        super().connection_lost(exc)

    @cached_property
    def _trusted(self) -> Any:
        # All that come through a proxy have the proxy's address here: it counts for them.
        return ProxyHeadersMiddleware(self.app, self.config.forwarded_allow_ips).trusted_hosts

    def _room_among(self, others: "list[GuardedProtocol]", most: int) -> bool:
        if not most or len(others) < most:
            return True
        idle = [connection for connection in others if connection.idle]
        if not idle:
            return False
        longest = min(idle, key=lambda connection: connection._idle_since)
        self.connections.discard(longest)
        longest.transport.abort()
        return True

    def _watch(self, begun: bool) -> None:
        """Set the clock for what the client owes. begun: it has sent something of it."""
        if self.transport.is_closing():
            self._expect(None)
        elif self.conn.their_state is h11.SEND_BODY:
            self._expect("body")
        elif self.conn.their_state is h11.IDLE and begun:
            self._expect("header")
        else:
            self._expect(None)

    def _expect(self, owed: Literal["header", "body"] | None) -> None:
        # Whatever comes a byte at a time does not set its clock back.
        if owed == self._owed:
            return
        self._owed = owed
        _stop(self._clock)
        self._received, self._excused = 0, False
        if owed == "header" and self.limits.header_seconds:
            self._clock = self.loop.call_later(self.limits.header_seconds, self._too_slow)
        elif owed == "body" and self.limits.body_seconds:
            self._clock = self.loop.call_later(self.limits.body_seconds, self._measure)

    def _measure(self) -> None:
        """Look at how much of the body came in the span that has just ended."""
        enough = self._received >= self.limits.body_bytes_per_second * self.limits.body_seconds
        # It cannot send while we do not read, or have not told it to go on.
        ours = self._excused or self.flow.read_paused or self.cycle.waiting_for_100_continue
        if not enough and not ours:
            self._too_slow()
            return
        self._received, self._excused = 0, self.flow.read_paused
        self._clock = self.loop.call_later(self.limits.body_seconds, self._measure)

    def _too_slow(self) -> None:
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"the {self._owed} was sent too slowly")

    def _abandon(self) -> None:
        _log.info("connection closed", why="the reply was not read", address=self.address)
        self.transport.abort()

    def _refuse(self, status: HTTPStatus, words: str) -> None:
        """Say why, unless a reply is already on its way, and close."""
        _log.info("connection closed", why=words, address=self.address)
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_reply(status, words))
        self._expect(None)
        self.transport.close()


def guarded(limits: LimitSettings) -> type[GuardedProtocol]:
    """The protocol with these limits, to be given to uvicorn as ``http``."""
    return type("GuardedProtocol", (GuardedProtocol,), {"given": limits})


def _most(limits: LimitSettings) -> int:
    """Connections at once, 0 for any number: the files of the process must not run out."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not limits.max_connections or files == resource.RLIM_INFINITY:
        return limits.max_connections
    return min(limits.max_connections, files // 2)


def _reply(status: HTTPStatus, words: str) -> bytes:
    """A whole response, made by hand: no request may have come that one could be a reply to."""
    title = status.phrase.capitalize()
    kind = f"urn:sfumato:problem:{title.lower().replace(' ', '-')}"
    body = json.dumps({"type": kind, "title": title, "status": status, "detail": words}).encode()
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\n"
        "Content-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Retry-After: {_RETRY_SECONDS}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


def _stop(clock: asyncio.TimerHandle | None) -> None:
    if clock is not None:
        clock.cancel()
