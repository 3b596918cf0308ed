"""What is refused before anybody has signed in, the same on both engines."""

import pytest

from app.store import Role
from tests.conftest import problem_of

LIMIT = 1 << 20
JSON = {"content-type": "application/json"}


def test_a_json_body_is_read_up_to_its_limit(api):
    huge = b'{"token": "' + b"x" * LIMIT + b'"}'
    found = problem_of(api.client.post("/session", content=huge, headers=JSON))
    assert (found["status"], found["detail"]) == (413, f"the body is larger than {LIMIT} bytes")

    def pieces():
        # No length is declared: it is counted as it comes.
        for _ in range(LIMIT // 1000 + 2):
            yield b"x" * 1000

    assert problem_of(api.client.post("/session", content=pieces()))["status"] == 413
    assert problem_of(api.client.post("/session", json={"token": "nobody"}))["status"] == 401


@pytest.mark.parametrize(
    "path", ["/projects/a%00b", "/projects/a%1Bb/progress", "/query/next?project=%E2%80%AEx"]
)
def test_addresses_hold_nothing_that_nobody_can_see(api, path):
    found = problem_of(api.as_("root", Role.ADMIN).get(path))
    assert found["status"] == 422
    assert "holds the character U+" in found["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"name": "p", "query": {"stop_below": Infinity}}', "is inf"),
        (b'{"name": "p", "query": {"stop_below": 1e999}}', "is inf"),
        (b'{"name": "p", "query": {"size": 99999999999999999999}}', "64 bits"),
        (b'{"name": "p", "classes": ["background", "a\\u0000"]}', "U+0000"),
        (b'{"name": "p", "classes": ["background", "a\\u202eb"]}', "U+202E"),
    ],
)
def test_numbers_and_text_of_bodies_are_the_same_to_every_engine(api, body, words):
    found = problem_of(api.as_("root", Role.ADMIN).post("/projects", content=body, headers=JSON))
    assert found["status"] == 422
    assert words in str(found)


def test_a_csrf_header_of_any_bytes_is_refused_in_words(api):
    token = api.token("root", Role.ADMIN)
    assert api.client.post("/session", json={"token": token}).status_code < 300
    header = {"x-csrf-token": "\u00e4".encode("latin-1")}
    found = problem_of(api.client.post("/projects", json={"name": "p"}, headers=header))
    assert found["status"] == 403
