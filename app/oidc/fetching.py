"""Asking the provider for JSON: bounded in time and size, no redirects."""

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog

from app.core.errors import ProviderAway
from app.provider_settings import is_private_way

_log = structlog.get_logger("sfumato.oidc")
_SECONDS, _CONNECT_SECONDS = 8.0, 4.0
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Asked:
    """A request to the provider; with a body it is a POST."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


async def ask(asked: Asked, tls: Callable[[], ssl.SSLContext]) -> tuple[int, dict[str, Any]]:
    """Status and JSON of the provider's answer. Raises ``ProviderAway``; the log says why."""
    if not is_private_way(asked.url):
        raise _away(asked, "it is not https")
    try:
        async with asyncio.timeout(_SECONDS):
            status, body = await _read(asked, tls)
        found = json.loads(body)
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise _away(asked, type(error).__name__) from error
    if status >= 500 or 300 <= status < 400 or not isinstance(found, dict):
        raise _away(asked, f"it answered {status} with {type(found).__name__}")
    return status, found


async def _read(asked: Asked, tls: Callable[[], ssl.SSLContext]) -> tuple[int, bytes]:
    timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
    method = "GET" if asked.body is None else "POST"
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", **asked.headers}
    async with (
        httpx.AsyncClient(verify=tls(), timeout=timeout) as client,
        client.stream(method, asked.url, headers=headers, content=asked.body) as answer,
    ):
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > _MOST_BYTES:
                raise ValueError("the answer is too long")
        return answer.status_code, body


def _away(asked: Asked, why: str) -> ProviderAway:
    _log.warning("the provider of sign-ins does not work", url=asked.url, why=why)
    return ProviderAway(
        "the sign-in service cannot be reached or does not work: try again in a moment, or sign in "
        "with a token or password; the server's log says more"
    )
