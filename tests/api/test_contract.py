"""The cycle as a client of the HTTP contract sees it."""

import numpy as np
import pytest
from sqlalchemy import select

from app.store import Job, JobState, Role
from tests.conftest import mask, picture, pixels_of, png_of, problem_of


def test_the_service_says_that_it_lives_and_is_ready(api):
    assert api.client.get("/health/live").json() == {"status": "live"}
    assert api.client.get("/health/ready").json() == {"status": "ready"}


def test_every_reply_carries_a_request_id_and_takes_a_given_one(api):
    assert len(api.client.get("/health/live").headers["x-request-id"]) == 32
    given = api.client.get("/health/live", headers={"X-Request-Id": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"


def test_a_project_is_made_once_and_found_by_name(api):
    admin = api.project()
    assert admin.get("/projects/brain").json()["classes"] == ["background", "lesion"]
    again = admin.post("/projects", json={"name": "brain"})
    assert again.status_code == 409
    assert "brain" in problem_of(again)["detail"]
    assert [p["name"] for p in admin.get("/projects").json()["items"]] == ["brain"]


def test_the_only_project_is_the_default_and_two_must_be_named(api):
    admin = api.project()
    assert admin.get("/query/next").json()["project"] == "brain"
    admin.post("/projects", json={"name": "liver"})
    assert admin.get("/query/next").status_code == 409
    assert admin.get("/query/next", params={"project": "liver"}).json()["items"] == []


@pytest.mark.parametrize("bits", [8, 16])
def test_every_value_of_a_slice_survives(api, bits):
    admin = api.project(slices=0)
    sent = picture(bits=bits, seed=5)
    where = {"case": "a", "index": 3}
    made = admin.post("/projects/brain/slices", params=where, content=sent)
    assert made.status_code == 201
    assert made.json()["bits"] == bits
    got = admin.get(made.json()["image"])
    assert got.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(pixels_of(got.content), pixels_of(sent))


def test_a_tiff_of_16_bits_survives(api):
    import io

    from PIL import Image

    admin = api.project(slices=0)
    values = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 63
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format="TIFF")
    where = {"case": "a", "index": 0}
    made = admin.post("/projects/brain/slices", params=where, content=buffer.getvalue())
    np.testing.assert_array_equal(pixels_of(admin.get(made.json()["image"]).content), values)


def test_the_same_slice_again_is_the_same_slice_and_another_is_a_conflict(api):
    admin = api.project(slices=0)
    where = {"case": "a", "index": 0}
    first = admin.post("/projects/brain/slices", params=where, content=picture(seed=1))
    again = admin.post("/projects/brain/slices", params=where, content=picture(seed=1))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = admin.post("/projects/brain/slices", params=where, content=picture(seed=2))
    assert other.status_code == 409


def test_a_case_stays_in_one_split(api):
    admin = api.project(slices=0)
    admin.post("/projects/brain/slices", params={"case": "a", "index": 0}, content=picture())
    moved = admin.post(
        "/projects/brain/slices",
        params={"case": "a", "index": 1, "split": "test"},
        content=picture(seed=1),
    )
    assert moved.status_code == 409


def test_pictures_have_an_etag(api):
    admin = api.project()
    got = admin.get("/slices/1/image")
    again = admin.get("/slices/1/image", headers={"If-None-Match": got.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_first_round_is_a_random_draw_and_says_so(api):
    api.project(slices=6)
    batch = api.as_("ann").get("/query/next", params={"size": 4}).json()
    assert (batch["round"], batch["model"], batch["remaining"]) == (1, None, 4)
    assert [item["rank"] for item in batch["items"]] == [1, 2, 3, 4]
    assert {item["stream"] for item in batch["items"]} == {"initial"}
    item = batch["items"][0]
    assert item["score"] is None
    assert item["suggestion"] is None
    assert item["image"] == f"/slices/{item['slice']}/image"
    assert item["lease"]["expires_at"].endswith("Z")


def test_the_initial_draw_is_the_same_for_the_same_seed(api):
    api.project(slices=6)
    slices = [i["slice"] for i in api.as_("a").get("/query/next?size=4").json()["items"]]
    rounds = api.as_("b").get("/rounds").json()["items"]
    assert rounds[0]["settings"]["seed"] == 0
    items = api.as_("c").get(f"/rounds/{rounds[0]['id']}/items").json()["items"]
    assert [i["slice"] for i in items] == slices


def test_a_mask_is_kept_and_read_back_pixel_for_pixel(api):
    api.project()
    annotator = api.as_("ann")
    item = annotator.get("/query/next").json()["items"][0]
    path = f"/slices/{item['slice']}/masks"
    made = annotator.post(path, params={"seconds": 12.5}, content=mask())
    assert made.status_code == 201
    assert made.json()["late"] is False
    assert made.json()["seconds"] == 12.5
    assert made.json()["foreground_pixels"] == 64
    got = annotator.get(path)
    assert got.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(pixels_of(got.content), pixels_of(mask()))
    listed = annotator.get(path, headers={"Accept": "application/json"}).json()
    assert [m["id"] for m in listed["items"]] == [made.json()["id"]]


def test_the_same_mask_again_is_the_same_mask_and_another_a_revision(api):
    api.project()
    annotator = api.as_("ann")
    path = f"/slices/{annotator.get('/query/next').json()['items'][0]['slice']}/masks"
    first = annotator.post(path, content=mask())
    again = annotator.post(path, content=mask())
    revised = annotator.post(path, content=mask(corner=5))
    assert [r.status_code for r in (first, again, revised)] == [201, 200, 201]
    assert first.json()["id"] == again.json()["id"]
    assert (revised.json()["revision"], revised.json()["late"]) == (2, False)


def test_palette_masks_give_their_indices(api):
    import io

    from PIL import Image

    api.project()
    annotator = api.as_("ann")
    item = annotator.get("/query/next").json()["items"][0]
    image = Image.fromarray(pixels_of(mask())).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putdata(list(pixels_of(mask()).ravel()))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    path = f"/slices/{item['slice']}/masks"
    assert annotator.post(path, content=buffer.getvalue()).status_code == 201
    np.testing.assert_array_equal(pixels_of(annotator.get(path).content), pixels_of(mask()))


def test_a_whole_batch_of_labels_starts_a_retraining(api):
    api.project(slices=6)
    annotator = api.as_("ann")
    for item in annotator.get("/query/next?size=4").json()["items"]:
        annotator.post(f"/slices/{item['slice']}/masks", content=mask())
    assert api.dispatcher.woken == ["train"]
    jobs = annotator.get("/jobs").json()["items"]
    assert [(j["kind"], j["state"]) for j in jobs] == [("retrain", "queued")]
    empty = annotator.get("/query/next").json()
    assert empty["items"] == []
    assert "job 1 is retraining" in empty["message"]


def test_an_admin_starts_one_retraining_at_a_time(api):
    admin = api.project()
    assert admin.post("/jobs", json={"project": "brain"}).status_code == 409
    item = admin.get("/query/next").json()["items"][0]
    admin.post(f"/slices/{item['slice']}/masks", content=mask())
    first = admin.post("/jobs", json={"project": "brain", "kind": "retrain"})
    again = admin.post("/jobs", json={"project": "brain", "kind": "retrain"})
    assert (first.status_code, first.json()["state"]) == (202, "queued")
    assert first.json()["id"] == again.json()["id"]


def test_a_queued_job_is_cancelled_at_once_and_only_once(api):
    admin = api.project()
    item = admin.get("/query/next").json()["items"][0]
    admin.post(f"/slices/{item['slice']}/masks", content=mask())
    job = admin.post("/jobs", json={"project": "brain"}).json()["id"]
    assert admin.post(f"/jobs/{job}/cancel").json()["state"] == "cancelled"
    again = admin.post(f"/jobs/{job}/cancel")
    assert again.status_code == 409
    assert "cancelled" in problem_of(again)["detail"]


def test_progress_streams_until_the_job_has_ended(api):
    admin = api.project()
    item = admin.get("/query/next").json()["items"][0]
    admin.post(f"/slices/{item['slice']}/masks", content=mask())
    job = admin.post("/jobs", json={"project": "brain"}).json()["id"]
    seen = []
    with admin.stream("GET", f"/jobs/{job}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            seen.append(line)
            if '"state":"queued"' in line.replace(" ", ""):
                with api.database.writing() as session:
                    session.scalars(select(Job)).one().state = JobState.FAILED
    assert any('"state":"failed"' in line.replace(" ", "") for line in seen)


def test_a_reviewer_rejects_with_a_comment_and_the_slice_is_asked_for_again(api):
    api.project(slices=6, retrain_after=4)
    annotator, reviewer = api.as_("ann"), api.as_("rev", Role.REVIEWER)
    item = annotator.get("/query/next").json()["items"][0]
    kept = annotator.post(f"/slices/{item['slice']}/masks", content=mask()).json()
    path = f"/masks/{kept['id']}/review"
    assert reviewer.post(path, json={"verdict": "rejected"}).status_code == 422
    verdict = reviewer.post(path, json={"verdict": "rejected", "comment": "too small"})
    assert verdict.json()["review_state"] == "rejected"
    batch = api.as_("other").get("/query/next?size=4").json()
    assert item["slice"] in [i["slice"] for i in batch["items"]]


def test_where_review_is_asked_for_only_accepted_masks_train(api):
    admin = api.project(slices=6, size=2, review=True)
    annotator = api.as_("ann")
    masks = [
        annotator.post(f"/slices/{item['slice']}/masks", content=mask()).json()["id"]
        for item in annotator.get("/query/next?size=2").json()["items"]
    ]
    assert api.dispatcher.woken == []
    assert admin.get("/projects/brain/progress").json()["slices"]["pool"]["labelled"] == 0
    for mask_id in masks:
        admin.post(f"/masks/{mask_id}/review", json={"verdict": "accepted"})
    assert api.dispatcher.woken == ["train"]


def test_readers_do_not_see_each_others_masks(api):
    api.project()
    one, other = api.as_("one"), api.as_("other")
    item = one.get("/query/next").json()["items"][0]
    kept = one.post(f"/slices/{item['slice']}/masks", content=mask()).json()
    assert other.get(f"/masks/{kept['id']}").status_code == 403
    assert other.get(f"/slices/{item['slice']}/masks").status_code == 404
    reviewer = api.as_("rev", Role.REVIEWER)
    assert reviewer.get(f"/slices/{item['slice']}/masks").status_code == 200


def test_lists_go_on_where_a_page_ended(api):
    admin = api.project(slices=6)
    seen, cursor = [], {}
    while True:
        page = admin.get("/projects/brain/slices", params={"limit": 4, **cursor}).json()
        seen += [s["id"] for s in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == sorted(seen)
    assert len(seen) == 6


def test_the_audit_trail_says_who_did_what(api):
    admin = api.project(slices=3)
    annotator = api.as_("ann")
    item = annotator.get("/query/next").json()["items"][0]
    annotator.post(f"/slices/{item['slice']}/masks", content=mask())
    events = admin.get("/projects/brain/events").json()["items"]
    assert [e["action"] for e in events] == ["project.create", "member.set", "mask.submit"]


def test_truth_is_never_served(api):
    assert not [path for path in api.client.app.openapi()["paths"] if "truth" in path]


def test_openapi_describes_every_operation_and_its_problems(api):
    document = api.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            problems = operation["responses"]["4XX"]["content"]
            assert list(problems) == ["application/problem+json"], (method, path)
            assert "422" not in operation["responses"], (method, path)


def test_blank_slices_may_be_alike(api):
    admin = api.project(slices=0)
    blank = png_of(np.zeros((32, 32), dtype=np.uint8))
    ids = [
        admin.post("/projects/brain/slices", params={"case": c, "index": 0}, content=blank).json()[
            "id"
        ]
        for c in ("a", "b")
    ]
    assert len(set(ids)) == 2
