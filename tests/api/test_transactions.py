"""Nobody waits for pixels: none are decoded or encoded while a transaction can write."""

from contextlib import contextmanager
from threading import current_thread, main_thread

import imagecodecs
import pytest
from PIL import Image

from app.core import derived
from app.store import Database, Role
from tests.conftest import mask, picture


@pytest.fixture
def touched(monkeypatch):
    """What was done with pixels while a writer of the service was open: names of functions."""
    open_writers, found = [], []
    writing = Database.writing

    @contextmanager
    def watched(self):
        with writing(self) as session:
            open_writers.append(session)
            try:
                yield session
            finally:
                open_writers.remove(session)

    def watch(module, name):
        plain = getattr(module, name)

        def function(*arguments, **named):
            if open_writers and current_thread() is not main_thread():
                found.append(name)
            return plain(*arguments, **named)

        monkeypatch.setattr(module, name, function)

    monkeypatch.setattr(Database, "writing", watched)
    watch(imagecodecs, "png_encode")
    watch(Image, "open")
    watch(Image, "fromarray")
    for name in ("staple", "majority", "mean_dice"):
        watch(derived, name)
    return found


def take(client, size: int = 1) -> list[int]:
    items = client.get("/query/next", params={"size": size}).json()["items"]
    return [item["slice"] for item in items]


def post(client, slice_id: int, corner: int = 8) -> int:
    reply = client.post(f"/slices/{slice_id}/masks", content=mask(corner=corner))
    assert reply.status_code == 201, reply.text
    return reply.json()["id"]


def judge(client, mask_id: int, verdict: str) -> None:
    words = {"verdict": verdict, "comment": "as I see it"}
    assert client.post(f"/masks/{mask_id}/review", json=words).status_code == 200


def sources(client, slice_id: int) -> list[str]:
    listed = client.get(f"/slices/{slice_id}/masks", headers={"Accept": "application/json"})
    return [one["source"] for one in listed.json()["items"]]


def test_readings_and_revisions(api, touched):
    admin = api.project(readers_per_slice=2)
    ann, ben = api.as_("ann"), api.as_("ben")
    [slice_id] = take(ann)
    assert take(ben) == [slice_id]
    post(ann, slice_id, 8)
    post(ben, slice_id, 10)
    post(ann, slice_id, 12)
    assert sources(admin, slice_id).count("consensus") == 2
    assert touched == []


def test_verdicts(api, touched):
    admin = api.project(readers_per_slice=2)
    ann, ben, eve = api.as_("ann"), api.as_("ben"), api.as_("eve")
    chief = api.as_("chief", Role.REVIEWER)
    [slice_id] = take(ann)
    take(ben)
    first = post(ann, slice_id, 8)
    post(ben, slice_id, 10)
    # Nobody asked for it: it is joined to the others' once it is accepted.
    unasked = post(eve, slice_id, 12)
    judge(chief, unasked, "accepted")
    judge(chief, first, "rejected")
    assert sources(admin, slice_id).count("consensus") == 2
    assert touched == []


def test_rules(api, touched):
    admin = api.project(readers_per_slice=3)
    ann, ben = api.as_("ann"), api.as_("ben")
    [slice_id] = take(ann)
    take(ben)
    post(ann, slice_id, 8)
    post(ben, slice_id, 10)
    assert "consensus" not in sources(admin, slice_id)
    changed = admin.patch("/projects/brain", json={"query": {"readers_per_slice": 2}})
    assert changed.status_code == 200
    assert sources(admin, slice_id).count("consensus") == 1
    # What counts, and how it is counted, at once; as text, which is a number too.
    for rule in ({"readers_per_slice": "3"}, {"readers_per_slice": 2, "consensus": "majority"}):
        assert admin.patch("/projects/brain", json={"query": rule}).status_code == 200
    assert touched == []


def test_rules_that_cannot_be_are_refused_whatever_was_read(api, touched):
    admin = api.project(readers_per_slice=2)
    ann, ben = api.as_("ann"), api.as_("ben")
    chief = api.as_("chief", Role.REVIEWER)
    [slice_id] = take(ann)
    take(ben)
    for client in (ann, ben):
        judge(chief, post(client, slice_id), "rejected")
    for readers in (0, -1, 10, None, "many"):
        refused = admin.patch("/projects/brain", json={"query": {"readers_per_slice": readers}})
        assert refused.status_code == 422
    assert touched == []


def test_a_mask_that_nobody_asked_for_changes_nothing_yet(api, touched):
    api.project(readers_per_slice=2)
    ann, ben, eve = api.as_("ann"), api.as_("ben"), api.as_("eve")
    [slice_id] = take(ann)
    take(ben)
    post(ann, slice_id, 8)
    post(ben, slice_id, 10)
    post(eve, slice_id, 12)
    assert touched == []


def test_slices(api, touched):
    admin = api.project()
    sent = admin.post(
        "/projects/brain/slices", params={"case": "new", "index": 0}, content=picture()
    )
    assert sent.status_code == 201, sent.text
    assert touched == []
