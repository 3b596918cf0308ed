"""How often one token or one address may ask. Counted in memory, by each server process alone."""

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import answer
from app.core.blob import digest
from app.core.errors import NotAuthenticated, TooManyRequests
from app.limit_settings import LimitSettings

# Keys that are remembered; the one that asked longest ago is forgotten first.
_MOST_KEYS = 10_000
# One who holds an IPv6 network of the usual size has all addresses in it.
_IPV6_NETWORK = 64


class Buckets:
    """A token bucket a key: ``per_minute`` at once, filled again evenly. 0: there is no limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        # What is left in a bucket, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """Take one, if there is one: 0, else the seconds until there will be."""
        if not self.per_minute:
            return 0.0
        with self._lock:
            left = self._now(key)
            if left < 1:
                return (1 - left) * 60 / self.per_minute
            self._keep(key, left - 1)
            return 0.0

    def wait(self, key: str) -> float:
        """The seconds until there is one to take; 0 where there is."""
        if not self.per_minute:
            return 0.0
        with self._lock:
            return max(0.0, 1 - self._now(key)) * 60 / self.per_minute

    def give_back(self, key: str) -> None:
        """Put back one that was taken."""
        if not self.per_minute:
            return
        with self._lock:
            self._keep(key, self._now(key) + 1)

    def _now(self, key: str) -> float:
        left, at = self._left.get(key, (float(self.per_minute), 0.0))
        return min(self.per_minute, left + (self._clock() - at) * self.per_minute / 60)

    def _keep(self, key: str, left: float) -> None:
        self._left[key] = left, self._clock()
        self._left.move_to_end(key)
        while len(self._left) > _MOST_KEYS:
            self._left.popitem(last=False)


class Rates:
    """All rates of one application."""

    def __init__(self, limits: LimitSettings) -> None:
        self.by_token = Buckets(limits.requests_per_minute_by_token)
        self.by_address = Buckets(limits.requests_per_minute_by_address)
        self._sign_ins = Buckets(limits.failed_sign_ins_per_minute)
        self._failures = Buckets(limits.failed_tokens_per_minute)
        self._good: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def signing_in(self, address: str | None) -> Iterator[None]:
        """Around an attempt to sign in: what fails counts. Raises ``TooManyRequests``."""
        if address is None:
            yield
            return
        # Taken first, so that attempts made at the same time are counted too.
        seconds = self._sign_ins.take(address)
        if seconds:
            raise TooManyRequests(
                f"signing in failed {self._sign_ins.per_minute} times from {address} within a "
                f"minute: {_again(seconds)}",
                seconds,
            )
        failed = False
        try:
            yield
        except NotAuthenticated:
            failed = True
            raise
        finally:
            if not failed:
                self._sign_ins.give_back(address)

    @contextmanager
    def checking(self, token: str, address: str | None) -> Iterator[None]:
        """Around the check of a bearer token: failures count. Raises ``TooManyRequests``.

        A token that was right before is let through: others at its address may be wrong.
        """
        known = digest(token.encode())
        seconds = self._failures.wait(address) if address and known not in self._good else 0.0
        if seconds:
            raise TooManyRequests(
                f"{self._failures.per_minute} requests from {address} had a wrong token within "
                f"a minute: {_again(seconds)}",
                seconds,
            )
        try:
            yield
        except NotAuthenticated:
            with self._lock:
                self._good.pop(known, None)
            if address:
                self._failures.take(address)
            raise
        with self._lock:
            self._good[known] = None
            self._good.move_to_end(known)
            while len(self._good) > _MOST_KEYS:
                self._good.popitem(last=False)


class RequestRates:
    """ASGI middleware: refuses what comes too often from one address, or with one token."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self.app = app
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            refused = self._refused(HTTPConnection(scope))
            if refused is not None:
                await answer(Request(scope), refused)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _refused(self, asked: HTTPConnection) -> TooManyRequests | None:
        address = address_of(asked)
        said = asked.headers.get("authorization") or asked.headers.get("cookie")
        asking = (
            (self._rates.by_address, address, "from one address"),
            # Not the text itself: nobody needs to find a token in our memory.
            (self._rates.by_token, said and digest(said.encode()), "with one token"),
        )
        for buckets, key, whose in asking:
            seconds = buckets.take(key) if key else 0.0
            if seconds:
                words = f"more than {buckets.per_minute} requests a minute came {whose}"
                return TooManyRequests(f"{words}: {_again(seconds)}", seconds)
        return None


def address_of(asked: HTTPConnection) -> str | None:
    """Whom a request is counted for: an address, of IPv6 its network; None for a local socket.

    Behind a trusted proxy, the server has put in the address that the proxy tells of.
    """
    if asked.client is None:
        return None
    try:
        address = ipaddress.ip_address(asked.client.host.partition("%")[0])
    except ValueError:
        return asked.client.host
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))


def _again(seconds: float) -> str:
    return f"try again in {max(1, round(seconds))} s"
