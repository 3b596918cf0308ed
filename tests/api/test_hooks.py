"""Webhooks over HTTP: made by admins, tried, looked after; their secret is seen once."""

import json
import time

import pytest

from app.store import Role
from tests.api.test_people import post, take
from tests.conftest import problem_of
from tests.importing.test_over_http import pictures, until_ended
from tests.receiver import receiving

HOOKS = "/projects/brain/hooks"
PUBLIC = "https://ci.example/sfumato"


@pytest.fixture
def receiver(api):
    api.settings.hook_networks = "127.0.0.0/8"
    with receiving() as one:
        yield one


def until_delivered(admin, hook: int, name: str = "brain") -> list[dict]:
    """The log, once nothing of it waits any more."""
    end = time.monotonic() + 60
    while True:
        log = admin.get(f"/projects/{name}/hooks/{hook}/deliveries").json()["items"]
        if log and all(one["state"] == "delivered" for one in log):
            return log
        assert time.monotonic() < end, log
        time.sleep(0.05)


def test_a_hook_is_made_tried_changed_and_deleted(api, receiver):
    admin = api.project()
    made = admin.post(HOOKS, json={"url": receiver.url})
    assert made.status_code == 201, made.text
    hook, secret = made.json()["id"], made.json()["secret"]
    assert "import.done" in made.json()["events"]
    asked = admin.post(f"{HOOKS}/{hook}/test")
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    (sent,) = until_delivered(admin, hook)
    assert (sent["event"], sent["status"], sent["attempt"]) == ("test", 204, 1)
    assert json.loads(receiver.requests[0][2])["event"] == "test"
    changed = admin.patch(f"{HOOKS}/{hook}", json={"events": ["job.failed"], "enabled": False})
    assert (changed.json()["events"], changed.json()["enabled"]) == (["job.failed"], False)
    refused = admin.post(f"{HOOKS}/{hook}/test")
    assert refused.status_code == 422
    assert "disabled" in problem_of(refused)["detail"]
    assert admin.patch(f"{HOOKS}/{hook}", json={"enabled": True}).json()["enabled"]
    # The secret is shown once, and the URL's path is in no audit.
    shown = [
        changed.text,
        admin.get(HOOKS).text,
        admin.get(f"{HOOKS}/{hook}").text,
        admin.get(f"{HOOKS}/{hook}/deliveries").text,
        admin.get("/projects/brain/events").text,
    ]
    assert all(secret not in text for text in shown)
    audit = admin.get("/projects/brain/events").json()["items"]
    of_hooks = [one["action"] for one in audit if one["action"].startswith("hook.")]
    assert of_hooks == ["hook.create", "hook.test", "hook.change", "hook.change"]
    assert "/hook" not in str([one["detail"] for one in audit])
    assert admin.delete(f"{HOOKS}/{hook}").status_code == 204
    assert admin.get(HOOKS).json()["items"] == []
    assert admin.get(f"{HOOKS}/{hook}").status_code == 404


def test_the_log_comes_in_pages_newest_first(api, receiver):
    admin = api.project()
    hook = admin.post(HOOKS, json={"url": receiver.url}).json()["id"]
    numbers = [admin.post(f"{HOOKS}/{hook}/test").json()["id"] for _ in range(3)]
    first = admin.get(f"{HOOKS}/{hook}/deliveries", params={"limit": 2}).json()
    rest = admin.get(f"{HOOKS}/{hook}/deliveries", params={"cursor": first["next"]}).json()
    listed = [one["id"] for page in (first, rest) for one in page["items"]]
    assert listed == numbers[::-1]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"url": "https://127.0.0.1/"}, "no public address"),
        ({"url": "https://0x7f.1/"}, "no public address"),
        ({"url": "https://localhost:8000/"}, "no public address"),
        ({"url": "http://8.8.8.8/"}, "use https"),
        ({"url": "https://ann:secret@ci.example/"}, "user or password"),
        ({"url": "ftp://ci.example/"}, "http"),
        ({"url": "https://ci.example/" + "x" * 2000}, "2000"),
        ({"url": "https://a\u0000b.example/"}, "U+0000"),
        ({"url": PUBLIC, "events": []}, "at least 1"),
        ({"url": PUBLIC, "events": ["model.kept"]}, "model.made"),
        ({"url": PUBLIC, "secret": "mine"}, "secret"),
        ({}, "url"),
    ],
)
def test_bad_input_is_refused_in_words_made_or_changed(api, body, words):
    admin = api.project(slices=0)
    refused = [admin.post(HOOKS, json=body)]
    hook = admin.post(HOOKS, json={"url": PUBLIC}).json()["id"]
    if body:
        refused.append(admin.patch(f"{HOOKS}/{hook}", json=body))
    for reply in refused:
        assert reply.status_code == 422
        assert words in problem_of(reply)["detail"]
    (kept,) = admin.get(HOOKS).json()["items"]
    assert kept["url"] == PUBLIC


def test_a_project_has_so_many_hooks_and_no_more(api):
    admin = api.project(slices=0)
    for _ in range(20):
        assert admin.post(HOOKS, json={"url": PUBLIC}).status_code == 201
    assert "delete one" in problem_of(admin.post(HOOKS, json={"url": PUBLIC}))["detail"]


def test_hooks_are_for_admins_and_of_their_project(api):
    admin = api.project(slices=0)
    hook = admin.post(HOOKS, json={"url": PUBLIC}).json()["id"]
    admin.post("/projects", json={"name": "liver"})
    reviewer = api.as_("rev", Role.REVIEWER)
    for method, path, body in (
        ("POST", "", {"url": PUBLIC}),
        ("GET", "", None),
        ("GET", f"/{hook}", None),
        ("PATCH", f"/{hook}", {"enabled": False}),
        ("POST", f"/{hook}/test", None),
        ("GET", f"/{hook}/deliveries", None),
        ("DELETE", f"/{hook}", None),
    ):
        assert reviewer.request(method, f"{HOOKS}{path}", json=body).status_code == 403
        if path:
            foreign = admin.request(method, f"/projects/liver/hooks{path}", json=body)
            assert foreign.status_code == 404
            assert "liver" in problem_of(foreign)["detail"]
        assert admin.request(method, f"/projects/none/hooks{path}", json=body).status_code == 404
    assert admin.get(f"{HOOKS}/{hook}").json()["enabled"]


def test_imports_and_exports_are_told_by_numbers_alone(api, receiver):
    admin = api.as_("root", Role.ADMIN)
    admin.post("/projects", json={"name": "new"})
    hook = admin.post("/projects/new/hooks", json={"url": receiver.url}).json()["id"]
    where = {"layout": "png", "filename": "a.zip"}
    assert admin.post("/projects/new/imports", params=where, content=pictures()).status_code < 300
    ann = api.as_("ann")
    post(ann, take(ann)[0]["slice"])
    asked = admin.post("/projects/new/exports", params={"format": "png"}).json()["id"]
    assert until_ended(admin, asked)["state"] == "succeeded"
    log = until_delivered(admin, hook, "new")
    told = {one["event"]: one["payload"] for one in log}
    assert {"import.done", "round.opened", "export.ready"} <= set(told)
    assert told["import.done"]["new_slices"] > 0
    assert told["export.ready"]["transfer"] == asked
    assert told["export.ready"]["cases"] == 1
    cases = {one["case"] for one in admin.get("/projects/new/slices").json()["items"]}
    assert cases
    for text in told.values():
        assert not cases & {str(value) for value in text.values()}
