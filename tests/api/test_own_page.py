"""Another site's page signs no browser in (login CSRF)."""

import pytest

from app.store import Role
from tests.api.test_accounts import WORDS, browser
from tests.conftest import problem_of

OURS = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://testserver"},
    # Through a proxy that ends TLS and passes the name on, or that does not.
    {"Origin": "https://testserver"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://sfumato.example.org"},
]
OTHERS = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "http://testserver:8080"},
    {"Origin": "null"},
    {"Origin": ""},
]


@pytest.fixture
def bodies(api) -> list[dict[str, str]]:
    root = api.as_("root", Role.ADMIN)
    root.put("/accounts/root/password", json={"password": WORDS})
    token = root.headers["Authorization"].removeprefix("Bearer ")
    return [{"token": token}, {"account": "root", "password": WORDS}]


def test_a_session_is_opened_by_our_page_or_a_program(api, bodies):
    for body in bodies:
        for headers in OURS:
            assert browser(api).post("/session", json=body, headers=headers).status_code == 201


def test_a_session_is_not_opened_by_anothers_page(api, bodies):
    for body in bodies:
        for headers in OTHERS:
            refused = browser(api).post("/session", json=body, headers=headers)
            assert refused.status_code == 403, headers
            assert "another site" in problem_of(refused)["detail"]
            assert "set-cookie" not in refused.headers
