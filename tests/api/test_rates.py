"""How often one address or token may ask: refused in words, with when to come again."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

from app.api.rates import Buckets, address_of
from app.main import create_app
from app.store import Role
from tests.conftest import RecordingDispatcher, problem_of
from tests.served import served


@contextmanager
def limited(api, **limits) -> Iterator[TestClient]:
    """The application with other limits, on the same database."""
    settings = api.settings.model_copy(update=limits)
    app = create_app(settings, api.database, RecordingDispatcher())
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def refused(reply) -> str:
    found = problem_of(reply)
    assert found["status"] == 429
    assert found["title"] == "Too many requests"
    assert int(reply.headers["retry-after"]) >= 1
    return found["detail"]


def test_a_bucket_is_filled_again_evenly_and_never_beyond_its_size():
    now = 0.0
    buckets = Buckets(6, lambda: now)
    assert [buckets.take("a") for _ in range(6)] == [0.0] * 6
    assert buckets.take("a") == pytest.approx(10)
    assert buckets.take("b") == 0
    now = 5.0
    assert buckets.take("a") == pytest.approx(5)
    now = 10.0
    assert buckets.wait("a") == 0
    assert buckets.take("a") == 0
    assert buckets.take("a") > 0
    buckets.give_back("a")
    assert buckets.take("a") == 0
    now = 3600.0
    assert sum(buckets.take("a") == 0 for _ in range(20)) == 6
    assert all(Buckets(0).take("a") == 0 for _ in range(100))


def test_failed_sign_ins_of_an_address_are_few_and_good_ones_cost_nothing(api):
    good = {"token": api.token("ann", Role.ANNOTATOR)}
    with limited(api, failed_sign_ins_per_minute=3) as client:
        for _ in range(6):
            assert client.post("/session", json=good).status_code == 201
        tries = [client.post("/session", json={"token": "sfu_1_wrong"}) for _ in range(4)]
        assert [reply.status_code for reply in tries[:3]] == [401] * 3
        assert "signing in failed 3 times from testclient" in refused(tries[3])
        refused(client.post("/session", json=good))
        # All else goes on for whoever is known.
        headers = {"Authorization": f"Bearer {good['token']}"}
        assert client.get("/projects", headers=headers).status_code == 200
    with limited(api, failed_sign_ins_per_minute=0) as client:
        tries = [client.post("/session", json={"token": "sfu_1_wrong"}) for _ in range(30)]
        assert {reply.status_code for reply in tries} == {401}


def test_a_password_is_not_guessed_by_changing_it(api):
    words = "four words that nobody guesses"
    root = api.as_("root", Role.ADMIN)
    assert root.put("/accounts/root/password", json={"password": words}).status_code == 204
    with limited(api, failed_sign_ins_per_minute=3) as client:
        client.headers["Authorization"] = root.headers["Authorization"]
        change = {"password": words + "!", "present": "another set of words"}
        tries = [client.put("/accounts/root/password", json=change) for _ in range(4)]
        assert [reply.status_code for reply in tries[:3]] == [401] * 3
        refused(tries[3])
        refused(client.put("/accounts/root/password", json={**change, "present": words}))


def test_wrong_tokens_of_an_address_are_few_and_hinder_nobody_who_is_known(api):
    known, new = (api.token(name, Role.ANNOTATOR) for name in ("known", "new"))

    def ask(client, token):
        return client.get("/projects", headers={"Authorization": f"Bearer {token}"})

    with limited(api, failed_tokens_per_minute=3) as client:
        assert ask(client, known).status_code == 200
        assert [ask(client, f"sfu_1_{n}").status_code for n in range(3)] == [401] * 3
        assert "3 requests from testclient had a wrong token" in refused(ask(client, "sfu_1_x"))
        refused(ask(client, new))
        assert ask(client, known).status_code == 200
        assert client.get("/health/live").status_code == 200


def test_requests_are_counted_by_token_and_by_address(api):
    ann, eva = (api.token(name, Role.ANNOTATOR) for name in ("ann", "eva"))
    with limited(api, requests_per_minute_by_token=3) as client:
        headers = [{"Authorization": f"Bearer {token}"} for token in (ann, eva)]
        for _ in range(3):
            assert client.get("/projects", headers=headers[0]).status_code == 200
        assert "with one token" in refused(client.get("/projects", headers=headers[0]))
        assert client.get("/projects", headers=headers[1]).status_code == 200
        assert client.get("/health/live").status_code == 200
    with limited(api, requests_per_minute_by_address=3) as client:
        for _ in range(3):
            assert client.get("/health/live").status_code == 200
        reply = client.get("/health/live")
        assert "3 requests a minute came from one address" in refused(reply)
        # As every reply, it has its id and says what a browser may do with it.
        assert reply.headers["x-request-id"]
        assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3::4", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("a name", 1), "a name"),
        (None, None),
    ],
)
def test_whom_a_request_counts_for(client, address):
    assert address_of(HTTPConnection({"type": "http", "client": client})) == address


@pytest.mark.parametrize(("proxy", "second"), [("127.0.0.1", 401), ("192.0.2.1", 429)])
def test_what_a_proxy_says_is_believed_of_trusted_ones_alone(sqlite_database, proxy, second):
    limits = {"trusted_proxies": proxy, "failed_sign_ins_per_minute": 1}
    with served(sqlite_database, **limits) as running:

        def sign_in(address: str) -> int:
            headers = {"X-Forwarded-For": address}
            body = {"token": "sfu_1_wrong"}
            reply = httpx.post(f"{running.url}/session", json=body, headers=headers, timeout=60)
            return reply.status_code

        assert sign_in("198.51.100.1") == 401
        assert sign_in("198.51.100.2") == second
        assert sign_in("198.51.100.1") == 429


def test_whoever_is_nobody_opens_no_transaction_that_writes(api, monkeypatch):
    begun = []
    writing = api.database.writing
    monkeypatch.setattr(api.database, "writing", lambda: begun.append(1) or writing())
    for token in (None, "sfu_1_wrong"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        reply = api.client.post("/projects", json={"name": "p"}, headers=headers)
        assert reply.status_code == 401
        assert api.client.get("/query/next", headers=headers).status_code == 401
    for cookies in ({}, {"sfumato_session": "web_1_wrong"}):
        stranger = TestClient(api.client.app, cookies=cookies)
        assert stranger.get("/session").status_code == 401
        assert stranger.delete("/session").status_code == 401
    assert begun == []
    api.token("root", Role.ADMIN)
    assert begun
