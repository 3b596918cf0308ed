"""Slices of several channels, where they lie, and how masks of them came about."""

import numpy as np
import pytest

from app.core.blob import Blob
from app.core.geometry import Geometry
from app.core.pixels import encode
from app.core.prepared import prepare_image
from app.core.rescale import Rescale
from app.core.splits import Split
from app.loop.access import HERE
from app.loop.projects import find_project
from app.loop.slices import add_slice, ensure_case
from app.store import Job, JobKind, ModelVersion, Role, Round, Suggestion, blobs
from tests.conftest import mask, picture, pixels_of, png_of, problem_of


def made(api, *channels):
    """An admin's client, after making the project `brain` with these channels."""
    admin = api.as_("root", Role.ADMIN)
    body = {"name": "brain", "classes": ["background", "lesion"], "channels": channels}
    assert admin.post("/projects", json=body).status_code == 201
    return admin


def post(client, content, **where):
    where = {"case": "a", "index": 3, **where}
    return client.post("/projects/brain/slices", params=where, content=content)


def test_a_slice_is_asked_for_once_all_its_channels_are_in(api):
    admin = made(api, "t1", "flair")
    first = post(admin, picture(seed=1), channel="flair")
    assert (first.status_code, first.json()["missing"]) == (201, ["t1"])
    batch = admin.get("/query/next").json()
    assert batch["items"] == []
    assert "wait for the rest of their channels (of t1, flair)" in batch["message"]
    second = post(admin, picture(seed=2, bits=8), channel="t1")
    assert (second.status_code, second.json()["missing"]) == (201, [])
    assert second.json()["id"] == first.json()["id"]
    item = admin.get("/query/next").json()["items"][0]
    assert item["slice"] == first.json()["id"]
    assert [c["name"] for c in item["channels"]] == ["t1", "flair"]
    for channel, sent in zip(
        item["channels"], (picture(seed=2, bits=8), picture(seed=1)), strict=True
    ):
        got = pixels_of(admin.get(channel["image"]).content)
        np.testing.assert_array_equal(got, pixels_of(sent))
        assert (channel["slope"], channel["intercept"], channel["unit"]) == (1.0, 0.0, None)
    # Without a name it is the first of the project's channels, whichever came first.
    assert admin.get(item["image"]).content == admin.get(item["channels"][0]["image"]).content


def test_a_channel_is_kept_once_and_never_replaced(api):
    admin = made(api, "t1", "flair")
    assert post(admin, picture(seed=1), channel="t1").status_code == 201
    assert post(admin, picture(seed=1), channel="t1").status_code == 200
    other = post(admin, picture(seed=2), channel="t1")
    assert other.status_code == 409
    small = post(admin, picture(size=16), channel="flair")
    assert small.status_code == 422
    assert "all channels must agree" in problem_of(small)["detail"]


def test_a_channel_is_named_where_there_are_several(api):
    admin = made(api, "t1", "flair")
    for channel in ({}, {"channel": "t2"}, {"channel": ""}):
        refused = post(admin, picture(), **channel)
        assert refused.status_code == 422
        assert "t1, flair" in problem_of(refused)["detail"]
    kept = post(admin, picture(), channel="t1").json()
    path = f"/slices/{kept['id']}"
    drawn = admin.post(f"{path}/masks", content=mask())
    assert drawn.status_code == 409
    assert "not all of its channels (t1, flair)" in problem_of(drawn)["detail"]
    missing = admin.get(f"{path}/image", params={"channel": "flair"})
    assert missing.status_code == 404
    assert "no channel 'flair' yet" in problem_of(missing)["detail"]


@pytest.mark.parametrize("kind", ["RGB", "P"])
def test_colour_comes_in_where_the_project_has_three_channels_for_it(api, kind):
    from io import BytesIO

    from PIL import Image

    rng = np.random.default_rng(0)
    sent = Image.fromarray(rng.integers(0, 255, (16, 24, 3), dtype=np.uint8)).convert(kind)
    body = BytesIO()
    sent.save(body, format="PNG")
    admin = made(api, "red", "green", "blue")
    kept = post(admin, body.getvalue())
    assert (kept.status_code, kept.json()["missing"]) == (201, [])
    shown = [pixels_of(admin.get(c["image"]).content) for c in kept.json()["channels"]]
    np.testing.assert_array_equal(np.dstack(shown), np.asarray(sent.convert("RGB")))
    admin.post("/projects", json={"name": "grey"})
    refused = admin.post(
        "/projects/grey/slices", params={"case": "a", "index": 0}, content=body.getvalue()
    )
    assert refused.status_code == 422
    assert "make a project with three channels" in problem_of(refused)["detail"]


def test_colours_of_16_bits_and_transparency_are_refused_rather_than_cut(api):
    """Pillow would read both with 8 bits, without a word."""
    import struct
    import zlib

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    def png(depth, kind, row):
        head = struct.pack(">IIBBBBB", 2, 2, depth, kind, 0, 0, 0)
        body = zlib.compress(b"".join(b"\0" + row for _ in range(2)))
        chunks = chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + chunks

    admin = made(api, "red", "green", "blue")
    deep = png(16, 2, struct.pack(">6H", 256, 300, 65535, 1, 2, 3))
    clear = png(8, 6, bytes([1, 2, 3, 0, 4, 5, 6, 255]))
    for body, why in ((deep, "16 bits a colour"), (clear, "transparent pixels")):
        refused = post(admin, body)
        assert refused.status_code == 422
        assert why in problem_of(refused)["detail"]


def test_a_slice_says_where_it_lies_and_in_what_its_values_are(api):
    admin = made(api, "ct")
    with api.database.writing() as session:
        project = find_project(session, HERE, "brain", Role.ADMIN)
        # Columns run to the patient's left, rows to the back: as radiologists look at an axial cut.
        affine = [[-1.0, 0, 0, 90], [0, -0.5, 0, 120], [0, 0, 3.0, -40], [0, 0, 0, 1]]
        case = ensure_case(session, project, "c", Split.POOL, Geometry.of_list(affine))
        hounsfield = Rescale(offset=-1024, slope=1.0, intercept=0.0, unit="HU")
        image = prepare_image(np.full((64, 32), 1034, dtype=np.uint16), hounsfield)
        add_slice(session, case, 0, {0: image})
    for found in (
        admin.get("/query/next").json()["items"][0],
        admin.get("/projects/brain/slices").json()["items"][0],
    ):
        assert found["spacing"] == {"row": 0.5, "column": 1.0, "slice": 3.0}
        assert found["orientation"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
        assert found["plane"] == "axial"
        channel = found["channels"][0]
        assert (1034 + channel["offset"]) * channel["slope"] + channel["intercept"] == 10.0
        assert channel["unit"] == "HU"


def suggest(api, slice_id, classes):
    """As if a model had suggested this mask for a slice; returns the model's id."""
    with api.database.writing() as session:
        project = find_project(session, HERE, "brain", Role.ADMIN)
        job = Job(project_id=project.id, kind=JobKind.RETRAIN, queue="train", step="train")
        session.add(job)
        session.flush()
        job.state = "succeeded"
        model = ModelVersion(
            project_id=project.id,
            number=1,
            job_id=job.id,
            architecture={},
            mask_ids=[],
            scores={},
            seed=0,
            seconds=1.0,
            weights_sha256="",
        )
        session.add(model)
        session.flush()
        blob = Blob.of(encode(classes))
        blobs.put(session, blob)
        session.add(
            Suggestion(
                model_id=model.id,
                slice_id=slice_id,
                mask_sha256=blob.sha256,
                uncertainty_sha256=blob.sha256,
            )
        )
        session.query(Round).update({"model_id": model.id})
        return model.id


def test_a_mask_says_how_it_came_about(api):
    api.project(slices=3)
    ann = api.as_("ann")
    item = ann.get("/query/next").json()["items"][0]
    slice_id = item["slice"]
    model = suggest(api, slice_id, pixels_of(mask(corner=5)))
    assert ann.get("/query/next").json()["items"][0]["suggestion_model"] == model

    def submit(content, **how):
        reply = ann.post(f"/slices/{slice_id}/masks", params=how, content=content)
        assert reply.status_code == 201, reply.text
        return reply.json()

    blank = np.zeros((32, 32), dtype=np.uint8)
    assert submit(mask(corner=4), seconds=3.5)["origin"] == "drawn"
    assert submit(mask(corner=5), suggestion=model)["origin"] == "accepted"
    corrected = submit(mask(corner=6), suggestion=model)
    assert (corrected["origin"], corrected["suggestion_model"]) == ("corrected", model)
    assert submit(png_of(blank), blank=True)["origin"] == "blank"
    submit(mask(corner=7))
    said = submit(png_of(blank), blank=True, suggestion=model)
    assert (said["origin"], said["suggestion_model"]) == ("blank", model)
    submit(mask(corner=7))
    assert submit(png_of(blank))["origin"] == "empty"


def test_a_mask_cannot_say_what_is_not_so(api):
    api.project(slices=3)
    ann = api.as_("ann")
    slice_id = ann.get("/query/next").json()["items"][0]["slice"]
    path = f"/slices/{slice_id}/masks"
    said_blank = ann.post(path, params={"blank": True}, content=mask(corner=2))
    assert said_blank.status_code == 422
    assert "holds 4 pixels" in problem_of(said_blank)["detail"]
    no_model = ann.post(path, params={"suggestion": 9}, content=mask())
    assert no_model.status_code == 422
    assert "model 9 has suggested nothing" in problem_of(no_model)["detail"]


def test_additions_to_a_finished_pool_make_a_retraining_due(api):
    admin = api.project(slices=3, cases=3, size=3)
    ann = api.as_("ann")
    for item in ann.get("/query/next", params={"size": 5}).json()["items"]:
        ann.post(f"/slices/{item['slice']}/masks", content=mask())
    with api.database.writing() as session:
        # As a retraining leaves it that found nothing more to ask for.
        job = session.query(Job).one()
        job.state = "succeeded"
        model = ModelVersion(
            project_id=job.project_id,
            number=1,
            job_id=job.id,
            architecture={},
            mask_ids=[],
            scores={},
            seed=0,
            seconds=1.0,
            weights_sha256="",
        )
        session.add(model)
        session.query(Round).update({"state": "closed"})
    assert "nothing left" in ann.get("/query/next").json()["message"]
    api.dispatcher.woken.clear()
    assert post(admin, picture(seed=77), case="late", index=0).status_code == 201
    assert api.dispatcher.woken == ["train"]
    message = ann.get("/query/next").json()["message"]
    assert "slices to ask for since the last batch was answered: job 2 is retraining" in message
    progress = ann.get("/projects/brain/progress").json()
    assert progress["slices"]["pool"] == {"total": 4, "labelled": 3}


def test_a_revision_of_what_began_with_a_suggestion_began_with_it_too(api):
    api.project(slices=3)
    ann = api.as_("ann")
    slice_id = ann.get("/query/next").json()["items"][0]["slice"]
    model = suggest(api, slice_id, pixels_of(mask(corner=5)))
    path = f"/slices/{slice_id}/masks"
    ann.post(path, params={"suggestion": model}, content=mask(corner=6))
    # A mask that a reviewer sent back is drawn on without the suggestion being touched again.
    again = ann.post(path, content=mask(corner=7)).json()
    assert (again["origin"], again["suggestion_model"]) == ("corrected", model)
