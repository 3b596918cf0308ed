"""Signing in, tokens, settings, several readers, reviews: what people work with, over HTTP."""

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.core.project_settings import query_settings
from app.loop.rounds import start_round
from app.store import Job, JobState, ModelVersion, Project, Role
from tests.conftest import mask, pixels_of, problem_of


def browser(api, token: str) -> TestClient:
    """A client that signs in as a browser does, and proves its page."""
    client = TestClient(api.client.app, raise_server_exceptions=False)
    opened = client.post("/session", json={"token": token})
    assert opened.status_code == 201
    client.headers["X-CSRF-Token"] = opened.json()["csrf"]
    return client


def test_a_browser_signs_in_works_and_signs_out(api):
    api.project()
    client = browser(api, api.token("ann", Role.ANNOTATOR))
    assert client.get("/session").json()["account"] == "ann"
    item = client.get("/query/next").json()["items"][0]
    assert client.post(f"/slices/{item['slice']}/masks", content=mask()).status_code == 201
    assert client.delete("/session").status_code == 204
    assert client.get("/projects").status_code == 401


def test_the_cookie_alone_changes_nothing(api):
    api.project()
    client = browser(api, api.token("root2", Role.ADMIN))
    for wrong in ({}, {"X-CSRF-Token": "0" * 64}):
        client.headers.pop("X-CSRF-Token", None)
        refused = client.post("/projects", json={"name": "forged"}, headers=wrong)
        assert refused.status_code == 403
        assert "X-CSRF-Token" in problem_of(refused)["detail"]
    assert client.get("/projects").status_code == 200


def test_a_session_ends_with_its_token_and_a_made_up_cookie_is_none(api):
    admin = api.project()
    client = browser(api, api.token("gone", Role.ANNOTATOR))
    token = next(t for t in admin.get("/tokens").json()["items"] if t["name"] == "gone")
    assert admin.delete(f"/tokens/{token['id']}").status_code == 204
    assert client.get("/projects").status_code == 401
    for cookie in ("web_1_nonsense", "web_x", "sfu_1_x", "", "web_999999999999_x"):
        stranger = TestClient(api.client.app, cookies={"sfumato_session": cookie})
        assert stranger.get("/projects").status_code == 401


def test_a_wrong_token_opens_no_session(api):
    refused = api.client.post("/session", json={"token": "sfu_1_wrong"})
    assert refused.status_code == 401
    assert "set-cookie" not in refused.headers


def test_tokens_are_made_listed_and_revoked_by_admins_alone(api):
    admin = api.project()
    made = admin.post("/tokens", json={"name": "levi", "role": "reviewer"}).json()
    levi = TestClient(api.client.app, headers={"Authorization": f"Bearer {made['token']}"})
    assert levi.get("/projects").status_code == 200
    assert levi.get("/tokens").status_code == 403
    listed = {t["name"]: t for t in admin.get("/tokens").json()["items"]}
    assert listed["levi"]["role"] == "reviewer"
    assert made["token"] not in str(listed)
    assert admin.post("/tokens", json={"name": "levi", "role": "admin"}).status_code == 409


def test_settings_change_in_part_and_bad_ones_change_nothing(api):
    admin = api.project()
    before = admin.get("/projects/brain").json()
    changed = admin.patch("/projects/brain", json={"query": {"strategy": "clasp"}}).json()
    assert changed["query"] == {**before["query"], "strategy": "clasp"}
    assert changed["training"] == before["training"]
    for wrong in ({"query": {"strategy": "best"}}, {"training": {"width": 0}}, {"query": {"x": 1}}):
        refused = admin.patch("/projects/brain", json=wrong)
        assert refused.status_code == 422
        assert problem_of(refused)["detail"]
    assert admin.get("/projects/brain").json()["query"] == changed["query"]
    assert api.as_("ann").patch("/projects/brain", json={}).status_code == 403
    assert "clasp" in admin.get("/strategies").json()


def labelled(admin) -> int:
    return admin.get("/projects/brain/progress").json()["slices"]["pool"]["labelled"]


def take(client, size=1) -> list[dict]:
    return client.get("/query/next", params={"size": size}).json()["items"]


def post(client, slice_id: int, corner: int = 8) -> dict:
    reply = client.post(f"/slices/{slice_id}/masks", content=mask(corner=corner))
    assert reply.status_code == 201, reply.text
    return reply.json()


def test_two_readers_get_the_same_slice_and_neither_sees_the_other(api):
    admin = api.project(readers_per_slice=2)
    ann, ben, eve = api.as_("ann"), api.as_("ben"), api.as_("eve")
    first = take(ann)[0]["slice"]
    assert take(ben)[0]["slice"] == first
    assert take(eve)[0]["slice"] != first
    reading = post(ann, first, corner=8)
    assert ben.get(f"/masks/{reading['id']}").status_code == 403
    # One reading trains nothing and does not end the asking.
    assert labelled(admin) == 0
    assert first not in [item["slice"] for item in take(ann, 4)]
    post(ben, first, corner=10)
    assert labelled(admin) == 1
    listed = admin.get(f"/slices/{first}/masks", headers={"Accept": "application/json"}).json()
    assert [m["source"] for m in listed["items"]] == ["human", "human", "consensus"]
    consensus = pixels_of(admin.get(f"/slices/{first}/masks").content)
    assert (consensus[:8, :8] == 1).all()
    days = {day["account"]: day for day in admin.get("/projects/brain/annotators").json()}
    assert days["ann"]["agreement"] == days["ben"]["agreement"] == pytest.approx(128 / 164)
    assert [d["account"] for d in ann.get("/projects/brain/annotators").json()] == ["ann"]


def test_a_majority_of_three_wins_pixel_by_pixel(api):
    admin = api.project(readers_per_slice=3, consensus="majority")
    clients = [api.as_(name) for name in ("a", "b", "c")]
    slice_id = take(clients[0])[0]["slice"]
    for client, corner in zip(clients, (4, 8, 12), strict=True):
        assert take(client)[0]["slice"] == slice_id
        post(client, slice_id, corner)
    expected = np.zeros((32, 32), dtype=np.uint8)
    expected[:8, :8] = 1
    label = pixels_of(admin.get(f"/slices/{slice_id}/masks").content)
    np.testing.assert_array_equal(label, expected)


def test_a_revised_reading_renews_the_consensus(api):
    admin = api.project(readers_per_slice=2)
    ann, ben = api.as_("ann"), api.as_("ben")
    slice_id = take(ann)[0]["slice"]
    take(ben)
    post(ann, slice_id, 8)
    post(ben, slice_id, 8)
    post(ann, slice_id, 12)
    post(ben, slice_id, 12)
    assert pixels_of(admin.get(f"/slices/{slice_id}/masks").content).sum() == 144


def test_a_rejected_reading_takes_the_consensus_with_it_and_is_asked_for_again(api):
    admin = api.project(readers_per_slice=2)
    ann, ben = api.as_("ann"), api.as_("ben")
    slice_id = take(ann)[0]["slice"]
    take(ben)
    kept = post(ann, slice_id)
    post(ben, slice_id)
    assert labelled(admin) == 1
    words = {"verdict": "rejected", "comment": "too small"}
    admin.post(f"/masks/{kept['id']}/review", json=words)
    assert labelled(admin) == 0
    assert take(ann)[0]["returned"]["comment"] == "too small"
    post(ann, slice_id, corner=9)
    assert labelled(admin) == 1


def test_a_consensus_that_was_rejected_may_come_about_again(api):
    admin = api.project(readers_per_slice=2)
    clients = api.as_("ann"), api.as_("ben")
    slice_id = take(clients[0])[0]["slice"]
    take(clients[1])
    for client in clients:
        post(client, slice_id)
    listed = admin.get(f"/slices/{slice_id}/masks", headers={"Accept": "application/json"}).json()
    words = {"verdict": "rejected", "comment": "look again"}
    admin.post(f"/masks/{listed['items'][2]['id']}/review", json=words)
    for client in clients:
        post(client, slice_id, corner=9)
        post(client, slice_id, corner=8)
    assert labelled(admin) == 1


def test_readers_asked_for_later_leave_labels_and_fewer_make_some(api):
    admin = api.project()
    ann = api.as_("ann")
    first, second = (item["slice"] for item in take(ann, 2))
    post(ann, first)
    admin.patch("/projects/brain", json={"query": {"readers_per_slice": 2}})
    post(ann, second)
    assert labelled(admin) == 1
    admin.patch("/projects/brain", json={"query": {"readers_per_slice": 1}})
    assert labelled(admin) == 2


def test_a_batch_read_by_all_readers_starts_the_retraining(api):
    admin = api.project(readers_per_slice=2, size=2)
    ann, ben = api.as_("ann"), api.as_("ben")
    for client in (ann, ben):
        for item in take(client, 2):
            post(client, item["slice"])
    assert [job["state"] for job in admin.get("/jobs").json()["items"]] == ["queued"]


def test_a_rejected_mask_goes_back_to_its_author_first(api):
    api.project(review=True, size=4)
    chief = api.as_("chief", Role.REVIEWER)
    ann, ben = api.as_("ann"), api.as_("ben")
    first = take(ann)[0]["slice"]
    kept = post(ann, first)
    words = {"verdict": "rejected", "comment": "too small"}
    assert chief.post(f"/masks/{kept['id']}/review", json=words).status_code == 200
    again = take(ann)[0]
    assert again["slice"] == first
    assert again["returned"] == {"mask_id": kept["id"], "comment": "too small"}
    assert first not in [item["slice"] for item in take(ben, 3)]
    post(ann, first, corner=12)
    assert first not in [item["slice"] for item in take(ann, 4)]


def open_second_round(database, trained_on: tuple[int, ...] = ()) -> None:
    """As a retraining does, without the training."""
    with database.writing() as session:
        project = session.scalars(select(Project)).one()
        job = session.scalars(select(Job)).one()
        job.state = JobState.SUCCEEDED
        model = ModelVersion(
            project_id=project.id,
            number=1,
            job_id=job.id,
            architecture={},
            mask_ids=list(trained_on),
            scores={},
            seed=0,
            seconds=0.0,
            weights_sha256="",
        )
        session.add(model)
        session.flush()
        start_round(session, project, model.id, query_settings(project), seed=0)


def test_a_rejected_revision_does_not_bring_the_one_before_it_back(api):
    admin = api.project()
    ann = api.as_("ann")
    slice_id = take(ann)[0]["slice"]
    post(ann, slice_id, corner=8)
    newer = post(ann, slice_id, corner=9)
    words = {"verdict": "rejected", "comment": "still too small"}
    assert admin.post(f"/masks/{newer['id']}/review", json=words).status_code == 200
    assert labelled(admin) == 0
    assert take(ann)[0]["returned"]["comment"] == "still too small"


def test_a_rejection_after_the_round_asks_again_in_the_open_round(api):
    admin = api.project(slices=6, size=2)
    ann = api.as_("ann")
    items = take(ann, 2)
    kept = [post(ann, item["slice"]) for item in items]
    open_second_round(api.database)
    words = {"verdict": "rejected", "comment": "the other side"}
    assert admin.post(f"/masks/{kept[0]['id']}/review", json=words).status_code == 200
    again = take(ann, 1)[0]
    assert (again["slice"], again["stream"]) == (items[0]["slice"], "returned")


def test_a_model_tells_which_masks_made_it_page_by_page(api):
    admin = api.project(slices=6, size=2)
    ann = api.as_("ann")
    kept = [post(ann, item["slice"]) for item in take(ann, 2)]
    open_second_round(api.database, trained_on=(kept[1]["id"], kept[0]["id"]))
    first = admin.get("/models/1/masks", params={"limit": 1}).json()
    second = admin.get("/models/1/masks", params={"limit": 1, "cursor": first["next"]}).json()
    assert second["next"] is None
    listed = first["items"] + second["items"]
    assert [one["mask"] for one in listed] == sorted(mask["id"] for mask in kept)
    assert {(one["author"], one["foreground_pixels"]) for one in listed} == {("ann", 64)}
    assert {one["slice"] for one in listed} == {mask["slice"] for mask in kept}
    assert ann.get("/models/1/masks").status_code == 403


def test_the_review_queue_holds_what_is_complete_and_not_accepted(api):
    api.project(readers_per_slice=2, review=True)
    chief = api.as_("chief", Role.REVIEWER)
    ann, ben = api.as_("ann"), api.as_("ben")
    slice_id = take(ann)[0]["slice"]
    take(ben)
    post(ann, slice_id)
    assert chief.get("/projects/brain/reviews").json()["items"] == []
    post(ben, slice_id, corner=9)
    (waiting,) = chief.get("/projects/brain/reviews").json()["items"]
    assert [m["author"] for m in waiting["readings"]] == ["ann", "ben", "consensus"]
    consensus = waiting["readings"][2]["id"]
    words = {"verdict": "rejected", "comment": "both miss it"}
    chief.post(f"/masks/{consensus}/review", json=words)
    assert chief.get("/projects/brain/reviews").json()["items"] == []
    for client in (ann, ben):
        assert take(client)[0]["returned"]["comment"] == "both miss it"
    assert ann.get("/projects/brain/reviews").status_code == 403


def test_asking_for_reviews_later_elects_the_labels_anew(api):
    admin = api.project()
    ann = api.as_("ann")
    post(ann, take(ann)[0]["slice"])
    assert labelled(admin) == 1
    admin.patch("/projects/brain", json={"query": {"review": True}})
    assert labelled(admin) == 0
    admin.patch("/projects/brain", json={"query": {"review": False}})
    assert labelled(admin) == 1


def test_pages_answer_or_say_that_they_are_not_built(api, monkeypatch, tmp_path):
    from app.api import pages

    monkeypatch.setattr(pages, "BUILT", tmp_path)
    missing = api.client.get("/")
    assert missing.status_code == 503
    assert "make web" in missing.text
    (tmp_path / "index.html").write_text("<p>built</p>")
    for path in ("/", "/review", "/dashboard"):
        shown = api.client.get(path)
        assert (shown.status_code, shown.text) == (200, "<p>built</p>")
        assert "script-src 'self'" in shown.headers["content-security-policy"]
