"""A provider of sign-ins (OpenID Connect) for tests, on loopback, that can be told to misbehave."""

import base64
import json
import secrets
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "sfumato", "a secret of the client"
KEY = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
INTERNALS = "internal words of the provider"


@dataclass
class OidcProvider:
    """Whoever comes is ``person`` (claims). What ``claims`` and ``said`` hold is put over what
    would be right in ID tokens and in the discovery document; None leaves a claim out.
    """

    url: str = ""
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "s-1"})
    claims: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] | None = None
    key: RSAKey = field(default_factory=lambda: KEY)
    published: list[RSAKey] = field(default_factory=lambda: [KEY])
    answer: dict[str, str] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def sign(self, claims: dict[str, Any]) -> str:
        """An ID token."""
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            **({"userinfo_endpoint": f"{self.url}/userinfo"} if self.userinfo else {}),
            **self.said,
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        back = {"code": code, "state": query["state"], **self.answer}
        return f"{query['redirect_uri']}?{urlencode({k: v for k, v in back.items() if v})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        known = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization != f"Basic {known}":
            return 401, {"error": "invalid_client", "error_description": INTERNALS}
        # Once, and then never again.
        query = self.codes.pop(form["code"], None)
        if (
            query is None
            or query["redirect_uri"] != form["redirect_uri"]
            or query["code_challenge"] != create_s256_code_challenge(form["code_verifier"])
        ):
            return 400, {"error": "invalid_grant", "error_description": INTERNALS}
        now = int(time.time())
        right = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300}
        claims = {**right, "nonce": query["nonce"], **self.person, **self.claims}
        token = self.sign({name: value for name, value in claims.items() if value is not None})
        return 200, {"access_token": "access", "token_type": "Bearer", "id_token": token}

    def reply(self, path: str) -> tuple[int, Any]:
        if path in self.faults:
            return self.faults[path], {"error": INTERNALS}
        keys = {"keys": [one.as_dict(private=False) for one in self.published]}
        found = {
            "/.well-known/openid-configuration": self.discovery(),
            "/keys": keys,
            "/userinfo": self.userinfo,
        }
        return (200, found[path]) if found.get(path) is not None else (404, {})


@contextmanager
def serving(provider: OidcProvider, host: str = "127.0.0.1"):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            provider.asked[parts.path] += 1
            if parts.path == "/authorize":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("Location", provider.authorize(query))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(*provider.reply(parts.path))

        def do_POST(self):
            provider.asked[self.path] += 1
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            if self.path in provider.faults:
                self._send(*provider.reply(self.path))
            else:
                self._send(*provider.token(form, self.headers.get("Authorization", "")))

        def _send(self, status, found):
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
