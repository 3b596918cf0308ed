"""Text and numbers that engines or people take differently: refused everywhere, by both engines."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from app.store import Review, Role
from tests.api.test_roles import TABLE, make_study
from tests.conftest import mask, problem_of

JSON = {"content-type": "application/json"}
# NUL, escape, from right to left, half of a character; and as they stand in an address.
UNSEEN = {"\x00": "%00", "\x1b": "%1B", "\u202e": "%E2%80%AE"}
HALF = "\ud800"


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where text and numbers stand in a body."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, key))
    else:
        yield path, value


def replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The body with another value in that place."""
    if not path:
        return value
    changed = body.copy()
    changed[path[0]] = replaced(body[path[0]], path[1:], value)
    return changed


def test_no_text_of_any_body_holds_what_nobody_can_see(api):
    study, root = make_study(api, "home"), api.as_("root", Role.ADMIN)
    seen = 0
    for (method, path), row in TABLE.items():
        body = study.fill(row.json)
        for place, value in leaves(body):
            for odd in [*UNSEEN, HALF] if isinstance(value, str) else []:
                sent = json.dumps(replaced(body, place, f"a{odd}b"))
                reply = root.request(method, study.fill(path), content=sent, headers=JSON)
                assert reply.status_code == 422, (method, path, place, odd)
                assert f"U+{ord(odd):04X}" in problem_of(reply)["detail"]
                seen += 1
    assert seen > 40


def test_no_address_holds_it(api):
    study, root = make_study(api, "home"), api.as_("root", Role.ADMIN)
    for method, path in TABLE:
        for written in UNSEEN.values():
            # The last number or name of the path, and a query that nobody asked for.
            for odd in (path.rpartition("{")[0] + written, f"{path}?x={written}"):
                reply = root.request(method, study.fill(odd))
                assert reply.status_code == 422, (method, odd)
                assert "holds the character U+" in problem_of(reply)["detail"]


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", "9" * 30])
@pytest.mark.parametrize("setting", ["stop_below", "target_threshold", "size", "seed"])
def test_no_setting_is_infinite_or_beyond_64_bits(api, number, setting):
    root = api.project(slices=0)
    before = root.get("/projects/brain").json()
    query = f'"query": {{"{setting}": {number}}}'
    made = root.post("/projects", content=f'{{"name": "p", {query}}}', headers=JSON)
    changed = root.patch("/projects/brain", content=f"{{{query}}}", headers=JSON)
    assert (made.status_code, changed.status_code) == (422, 422)
    assert setting in problem_of(changed)["detail"]
    assert root.get("/projects/brain").json() == before


def test_no_number_of_an_address_is_infinite_or_none(api):
    ann = api.project() and api.as_("ann")
    for number in ("inf", "-inf", "nan", "1e999"):
        reply = ann.post(f"/slices/1/masks?seconds={number}", content=mask())
        assert reply.status_code == 422, number
        assert "seconds" in problem_of(reply)["detail"]


@pytest.mark.parametrize("comment", ["Größe 脳 👩‍⚕️", "two\nlines\tof text", "x" * 10_000])
def test_what_people_write_comes_back_as_it_was(api, comment):
    root = api.project()
    drawn = root.post("/slices/1/masks", content=mask()).json()["id"]
    said = {"verdict": "rejected", "comment": comment}
    assert root.post(f"/masks/{drawn}/review", json=said).status_code == 200
    with api.database.reading() as session:
        assert session.scalars(select(Review.comment)).one() == comment
