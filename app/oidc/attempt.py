"""A sign-in that was begun: what the browser keeps of it until it comes back, signed by us."""

import secrets
from dataclasses import asdict, dataclass

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jwt import JWTClaimsRegistry

from app.core.errors import ProviderRefused

# To type a password and a second factor, or to find the telephone.
SECONDS = 600
_ALGORITHM = "HS256"


@dataclass(frozen=True)
class Attempt:
    """``state`` ties the provider's answer to this browser, ``nonce`` its ID token, ``verifier``
    (PKCE) its code; ``page`` is where to go afterwards.
    """

    issuer: str
    state: str
    nonce: str
    verifier: str
    page: str


def begun(issuer: str, page: str) -> Attempt:
    """A new attempt."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Attempt(issuer, state, nonce, verifier, page)


def sealed(attempt: Attempt, key: bytes, now: float) -> str:
    """What the browser's cookie holds."""
    claims = {**asdict(attempt), "exp": int(now) + SECONDS}
    return jwt.encode({"alg": _ALGORITHM}, claims, OctKey.import_key(key))


def unsealed(cookie: str | None, key: bytes, now: float) -> Attempt:
    """The attempt of a cookie. Raises ``ProviderRefused`` for one that is not ours, or is old."""
    try:
        if not cookie:
            raise ValueError("no cookie")
        claims = jwt.decode(cookie, OctKey.import_key(key), algorithms=[_ALGORITHM]).claims
        JWTClaimsRegistry(now=int(now), leeway=0, exp={"essential": True}).validate(claims)
        claims.pop("exp")
        return Attempt(**claims)
    except (JoseError, ValueError, TypeError) as error:
        words = f"no sign-in was begun here, or too long ago: {error}"
        raise ProviderRefused("expired", words) from error
