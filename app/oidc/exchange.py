"""The authorization code flow with PKCE: where a browser is sent, and whom it comes back as."""

import hmac
from collections.abc import Mapping
from typing import Any

import structlog
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from app.core.errors import ProviderRefused
from app.core.plain import unfit
from app.core.vouched import Vouched
from app.oidc.attempt import Attempt
from app.oidc.fetching import Asked, ask
from app.oidc.provider import Metadata, Provider

_log = structlog.get_logger("sfumato.oidc")
# Signatures that only the provider can make: none of a secret that is ours too, and never "none".
_ALGORITHMS = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
]
_SIGNED = JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)
# By so much may the provider's clock and ours differ.
_LEEWAY_SECONDS = 60
_LONGEST_SUBJECT = 255
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def address(provider: Provider, attempt: Attempt, callback: str) -> str:
    """Where the browser goes to sign in. Raises ``ProviderAway``."""
    said = await provider.metadata()
    found: str = prepare_grant_uri(
        said.authorization_endpoint,
        client_id=provider.client_id,
        response_type="code",
        redirect_uri=callback,
        scope=provider.settings.oidc_scopes,
        state=attempt.state,
        nonce=attempt.nonce,
        code_challenge=create_s256_code_challenge(attempt.verifier),
        code_challenge_method="S256",
    )
    return found


async def arrived(
    provider: Provider, attempt: Attempt, callback: str, query: Mapping[str, str]
) -> Vouched:
    """Whom the provider vouches for, who came back with this query.

    Raises ``ProviderRefused``, ``ProviderAway``.
    """
    code = await _code(provider, attempt, query)
    said = await provider.metadata()
    tokens = await _tokens(provider, said, attempt, callback, code)
    claims = await _verified(provider, attempt, tokens)
    return _vouched(provider, await _with_more(provider, said, tokens, claims))


async def _code(provider: Provider, attempt: Attempt, query: Mapping[str, str]) -> str:
    if not hmac.compare_digest(attempt.state.encode(), query.get("state", "").encode()):
        raise ProviderRefused("expired", "the answer belongs to another sign-in")
    if attempt.issuer != provider.issuer:
        raise ProviderRefused("expired", "the provider was changed meanwhile")
    said = await provider.metadata()
    # Of another provider, which has this browser bring us its codes (RFC 9207).
    named = query.get("iss")
    missing = named is None and said.authorization_response_iss_parameter_supported
    if missing or named not in (None, provider.issuer):
        raise ProviderRefused("untrusted", "the answer is of another issuer, or of none")
    if "error" in query:
        _log.info("the provider declined", error=_printable(query["error"]))
        raise ProviderRefused("declined", "the provider declined")
    if not query.get("code"):
        raise ProviderRefused("untrusted", "the answer has no code")
    return query["code"]


async def _tokens(
    provider: Provider, said: Metadata, attempt: Attempt, callback: str, code: str
) -> dict[str, Any]:
    body = prepare_token_request(
        "authorization_code", redirect_uri=callback, code=code, code_verifier=attempt.verifier
    )
    ways = said.token_endpoint_auth_methods_supported
    way = "client_secret_basic" if "client_secret_basic" in ways else "client_secret_post"
    known = ClientAuth(provider.client_id, provider.client_secret, way)
    url, headers, body = known.prepare("POST", said.token_endpoint, dict(_FORM), body)
    status, tokens = await ask(Asked(url, headers, body), provider.tls)
    if status != 200 or not isinstance(tokens.get("id_token"), str):
        why = _printable(str(tokens.get("error", "no ID token")))
        _log.warning("the provider gave no token for a code", status=status, error=why)
        raise ProviderRefused("untrusted", f"the provider gave no token: {why}")
    return tokens


async def _verified(
    provider: Provider, attempt: Attempt, tokens: Mapping[str, Any]
) -> dict[str, Any]:
    """The claims of an ID token whose signature, issuer, audience, times and nonce are right."""
    try:
        try:
            decoded = _decoded(tokens["id_token"], await provider.keys())
        except InvalidKeyIdError:
            decoded = _decoded(tokens["id_token"], await provider.keys(anew=True))
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": provider.issuer},
                "aud": {"essential": True, "value": provider.client_id},
                "nonce": {"essential": True},
            },
            {
                "nonce": attempt.nonce,
                "client_id": provider.client_id,
                "access_token": tokens.get("access_token"),
            },
        )
        claims.validate(leeway=_LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        _log.warning("an ID token cannot be trusted", why=_printable(str(error)))
        raise ProviderRefused("untrusted", f"the ID token is not right: {error}") from error
    return dict(claims)


def _decoded(token: str, keys: KeySet) -> jwt.Token:
    return jwt.decode(token, keys, registry=_SIGNED)


async def _with_more(
    provider: Provider, said: Metadata, tokens: Mapping[str, Any], claims: dict[str, Any]
) -> dict[str, Any]:
    """The claims, with what some providers tell at their userinfo endpoint alone."""
    settings = provider.settings
    wanted = {settings.oidc_name_claim, settings.oidc_groups_claim} - {None}
    token = tokens.get("access_token")
    if wanted <= claims.keys() or said.userinfo_endpoint is None or not isinstance(token, str):
        return claims
    headers = {"Authorization": f"Bearer {token}"}
    status, more = await ask(Asked(said.userinfo_endpoint, headers), provider.tls)
    if status != 200 or more.get("sub") != claims["sub"]:
        _log.warning("userinfo cannot be used", status=status)
        raise ProviderRefused("untrusted", "userinfo is of somebody else, or refused")
    return {**more, **claims}


def _vouched(provider: Provider, claims: Mapping[str, Any]) -> Vouched:
    subject = claims["sub"]
    if not _fits(subject):
        raise ProviderRefused("untrusted", "the ID token's subject is no text of 1 to 255 letters")
    name = claims.get(provider.settings.oidc_name_claim)
    # Whoever may type any address at the provider would be anybody.
    verified = provider.settings.oidc_name_claim != "email" or claims.get("email_verified") is True
    groups = claims.get(provider.settings.oidc_groups_claim or "", [])
    listed = groups if isinstance(groups, list) else [groups]
    return Vouched(
        issuer=provider.issuer,
        subject=subject,
        name=name if _fits(name) and verified else None,
        groups=frozenset(one for one in listed if isinstance(one, str)),
    )


def _fits(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _LONGEST_SUBJECT and unfit(text, "") is None


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)[:200]
