"""An application with a provider of sign-ins, and browsers that go there and come back."""

from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.conftest import Api, RecordingDispatcher
from tests.oidc_provider import CLIENT, SECRET, OidcProvider


@contextmanager
def application(provider: OidcProvider, database, folder, **settings):
    """The application, for whom that provider is the one."""
    found = Settings(
        **{
            "data": folder,
            "sweep_seconds": 3600,
            "import_processes": 0,
            "oidc_issuer": provider.url,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "oidc_name": "the hospital",
            **settings,
        }
    )
    dispatcher = RecordingDispatcher()
    app = create_app(found, database, dispatcher)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Api(database, found, dispatcher, client)


def browser(api: Api) -> TestClient:
    return TestClient(api.client.app, raise_server_exceptions=False, follow_redirects=False)


def there_and_back(page: TestClient, where: str = "/") -> str:
    """Begin to sign in, and sign in at the provider: where it sends the browser back to."""
    begun = page.post("/session/provider", json={"page": where})
    assert begun.status_code == 200, begun.text
    gone = httpx.get(begun.json()["address"], follow_redirects=False)
    assert gone.status_code == 302, gone.text
    return gone.headers["location"]


def path_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


def arrive(page: TestClient, where: str = "/") -> httpx.Response:
    """All of it: the reply to the browser that comes back."""
    return page.get(path_of(there_and_back(page, where)))


def signed_in(api: Api) -> TestClient:
    page = browser(api)
    reply = arrive(page)
    assert (reply.status_code, reply.headers["location"]) == (303, "/"), reply.headers
    page.headers["X-CSRF-Token"] = page.get("/session").json()["csrf"]
    return page


def refused(api: Api) -> str:
    """Why whoever the provider now lets in is sent back to the sign-in."""
    return why(arrive(browser(api)))


def why(reply: httpx.Response) -> str:
    assert reply.status_code == 303, reply.text
    assert "sfumato_session" not in reply.headers.get("set-cookie", "")
    assert reply.content == b""
    page, _, code = reply.headers["location"].partition("#sign-in=")
    assert page == "/"
    return code
