"""What the provider says of itself, and its keys: fetched when needed, kept for a while."""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import structlog
from authlib.oidc.discovery import get_well_known_url
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ValidationError

from app.core.errors import ProviderAway
from app.oidc.fetching import Asked, ask
from app.provider_settings import ProviderSettings, is_private_way

_log = structlog.get_logger("sfumato.oidc")
_KEPT_SECONDS = 3600.0
# So soon after a failure nobody is kept waiting for the next.
_AWAY_SECONDS = 5.0
# A token with a key that we do not know has the keys fetched anew, but not more often.
_KEYS_SECONDS = 30.0


class Metadata(BaseModel):
    """Of the discovery document, what is needed here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]
    authorization_response_iss_parameter_supported: bool = False


@dataclass(frozen=True)
class _Kept:
    at: float
    value: dict[str, Any] | None
    error: str = ""


class Provider:
    """The provider that the settings name. Raises ``InvalidInput`` where its secret is missing."""

    def __init__(
        self, settings: ProviderSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.issuer = settings.oidc_issuer or ""
        self.client_id = settings.oidc_client_id or ""
        self.client_secret = settings.client_secret()
        self.settings = settings
        self.tls: Callable[[], ssl.SSLContext] = cache(httpx.create_ssl_context)
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def metadata(self) -> Metadata:
        """What the provider says of itself. Raises ``ProviderAway``."""
        found = await self._fetched(get_well_known_url(self.issuer, external=True), _KEPT_SECONDS)
        try:
            said = Metadata.model_validate(found)
        except ValidationError as error:
            raise _unusable(f"its discovery document lacks {_missing(error)}") from error
        if said.issuer != self.issuer:
            raise _unusable(f"it names itself {said.issuer[:300]!r}, not {self.issuer!r}")
        if not is_private_way(said.authorization_endpoint):
            raise _unusable("its authorization endpoint is not https")
        return said

    async def keys(self, anew: bool = False) -> KeySet:
        """What its ID tokens are signed with. Raises ``ProviderAway``."""
        said = await self.metadata()
        found = await self._fetched(said.jwks_uri, _KEYS_SECONDS if anew else _KEPT_SECONDS)
        keys = [one for one in found.get("keys", []) if _signs(one)]
        try:
            return KeySet.import_key_set({"keys": keys})
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _unusable(f"its keys cannot be read: {type(error).__name__}") from error

    async def _fetched(self, url: str, oldest: float) -> dict[str, Any]:
        kept = self._kept.get(url)
        if kept is not None:
            age = self._clock() - kept.at
            if kept.value is None and age < _AWAY_SECONDS:
                raise ProviderAway(kept.error)
            if kept.value is not None and age < oldest:
                return kept.value
        try:
            status, found = await ask(Asked(url), self.tls)
            if status != 200:
                raise _unusable(f"{url} answered {status}")
        except ProviderAway as error:
            if kept is not None and kept.value is not None:
                # What was good for a day is better than nothing, for everybody else too.
                return kept.value
            self._kept[url] = _Kept(self._clock(), None, str(error))
            raise
        self._kept[url] = _Kept(self._clock(), found)
        return found


def _signs(key: Any) -> bool:
    """Whether it is a public key for signatures; providers publish others beside them."""
    known = isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP")
    return known and key.get("use", "sig") == "sig"


def _missing(error: ValidationError) -> str:
    return ", ".join(".".join(str(part) for part in one["loc"]) for one in error.errors())


def _unusable(why: str) -> ProviderAway:
    _log.error("the provider of sign-ins cannot be used", why=why)
    return ProviderAway(
        "the sign-in service cannot be used as it is set up: sign in with a token or password, and "
        "ask an admin to look at the server's log"
    )
