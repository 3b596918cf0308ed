"""One try of one delivery: signed, to an address that was looked at, over within seconds."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from ipaddress import ip_address

import httpx
import structlog

from app.core.errors import InvalidInput
from app.core.hook_addresses import Address, Network, checked_address
from app.core.hook_signature import signature
from app.loop.deliveries import DeliveryClaim

_log = structlog.get_logger("sfumato.hooks")
# Of a whole try: no receiver keeps a connection by answering a byte at a time.
TRY_SECONDS = 10.0
_CONNECT_SECONDS = 4.0
# Of a name with many.
_MOST_ADDRESSES = 4
_LONGEST_ERROR = 300


@dataclass(frozen=True)
class Outcome:
    """How a try ended: the receiver's answer, if any, and what was wrong (None: delivered)."""

    status: int | None = None
    error: str | None = None


async def send(
    held: DeliveryClaim,
    allowed: tuple[Network, ...],
    tls: Callable[[], ssl.SSLContext],
    resolver: Executor,
) -> Outcome:
    """Try a delivery once; whatever goes wrong is said in words."""
    try:
        async with asyncio.timeout(TRY_SECONDS):
            url = httpx.URL(held.url)
            addresses = await _addresses(url, allowed, resolver)
            status = await _post(held, url, addresses, tls())
    except TimeoutError:
        return Outcome(error=f"no answer within {TRY_SECONDS:g} s")
    except Exception as error:  # whatever a receiver does, it is this delivery's alone
        _log.info("try failed", delivery=held.id, error=type(error).__name__)
        return Outcome(error=_in_words(error))
    if 200 <= status < 300:
        return Outcome(status)
    hint = ": redirects are not followed, give its new URL" if 300 <= status < 400 else ""
    return Outcome(status, f"the receiver answered {status}{hint}")


async def _addresses(
    url: httpx.URL, allowed: tuple[Network, ...], resolver: Executor
) -> list[Address]:
    """What the URL's host stands for. Raises ``InvalidInput`` where any of it may not be gone to.

    The connection goes to these very addresses: a name that is looked up again may by then stand
    for another (DNS rebinding).
    """
    found = await asyncio.get_running_loop().run_in_executor(
        resolver, socket.getaddrinfo, url.raw_host, url.port or 0, 0, socket.SOCK_STREAM
    )
    addresses = dict.fromkeys(str(place[4][0]) for place in found)
    checked = [checked_address(ip_address(one), url.scheme, allowed) for one in addresses]
    return checked[:_MOST_ADDRESSES]


async def _post(
    held: DeliveryClaim, url: httpx.URL, addresses: list[Address], tls: ssl.SSLContext
) -> int:
    """The status of the answer, of which nothing else is read."""
    body = json.dumps(held.payload, sort_keys=True).encode()
    timestamp = str(int(time.time()))
    headers = {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": "Sfumato",
        "Content-Type": "application/json",
        "Sfumato-Event": held.event,
        "Sfumato-Delivery": str(held.id),
        "Sfumato-Timestamp": timestamp,
        "Sfumato-Signature": signature(held.secret, timestamp, body),
    }
    timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
    # No proxy of the environment: it would look names up anew, where we cannot see it.
    async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=timeout) as client:
        for place, address in enumerate(addresses, start=1):
            there = url.copy_with(host=str(address))
            # Certificates are the name's.
            extensions = {"sni_hostname": url.raw_host.decode("ascii")}
            request = client.stream(
                "POST", there, content=body, headers=headers, extensions=extensions
            )
            try:
                async with request as answer:
                    return answer.status_code
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if place == len(addresses):
                    raise
    raise InvalidInput(f"{url.host} stands for no address")


def _in_words(error: Exception) -> str:
    if isinstance(error, InvalidInput):
        return str(error)
    if isinstance(error, socket.gaierror):
        return "the name of its host stands for no address: check the URL"
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpx.ConnectError):
        said = "".join(one if one.isprintable() else "?" for one in str(error))
        return f"no connection: {said}"[:_LONGEST_ERROR]
    return f"the exchange broke off ({type(error).__name__})"
