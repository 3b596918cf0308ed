"""Bad input: each gets a clear problem, and nothing is lost or kept by mistake."""

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import func, select

from app.loop.access import HERE
from app.loop.tokens import revoke_token
from app.store import Mask, Role, Slice
from tests.conftest import mask, picture, pixels_of, png_of, problem_of


def post_slice(admin, body, **where):
    where = {"case": "new", "index": 0, **where}
    return admin.post("/projects/brain/slices", params=where, content=body)


def count(api, model) -> int:
    with api.database.reading() as session:
        return session.scalar(select(func.count()).select_from(model))


@pytest.mark.parametrize("body", [b"", b"hello", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"GIF89a" * 9])
def test_a_body_that_is_no_image(api, body):
    reply = post_slice(api.project(slices=0), body)
    assert reply.status_code == 415
    assert "PNG or TIFF" in problem_of(reply)["detail"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_image(api, share):
    whole = picture()
    reply = post_slice(api.project(slices=0), whole[: int(len(whole) * share)])
    assert reply.status_code == 415
    assert problem_of(reply)["title"] == "Image unreadable"
    assert count(api, Slice) == 0


def test_an_image_with_damaged_pixels(api):
    damaged = bytearray(picture())
    damaged[len(damaged) // 2] ^= 0xFF
    assert post_slice(api.project(slices=0), bytes(damaged)).status_code == 415


def test_a_body_over_the_limit_is_refused_before_it_is_read(api):
    admin = api.project(slices=0)
    api.settings.max_upload_bytes = 1000
    reply = post_slice(admin, b"x" * 1001)
    assert reply.status_code == 413
    assert "1000" in problem_of(reply)["detail"]


def test_a_body_over_the_limit_that_does_not_say_its_length(api):
    admin = api.project(slices=0)
    api.settings.max_upload_bytes = 1000
    reply = post_slice(admin, iter([b"x" * 600, b"x" * 600]))
    assert reply.status_code == 413


def test_a_decompression_bomb_is_refused_by_its_header(api):
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0"))
    reply = post_slice(api.project(slices=0), bomb + chunk(b"IEND", b""))
    assert reply.status_code == 413
    assert "pixels" in problem_of(reply)["detail"]


def test_a_colour_image_where_grey_is_expected(api):
    colour = png_of(np.zeros((8, 8, 3), dtype=np.uint8))
    reply = post_slice(api.project(slices=0), colour)
    assert reply.status_code == 422
    assert "grey" in problem_of(reply)["detail"]


def test_a_floating_point_tiff_points_to_the_import(api):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), dtype=np.float32)).save(buffer, format="TIFF")
    reply = post_slice(api.project(slices=0), buffer.getvalue())
    assert reply.status_code == 422
    assert "sfumato import" in problem_of(reply)["detail"]


@pytest.mark.parametrize(
    "name", ["../etc/passwd", "a/b", "a\x00b", "a\nb", "", " a", "..", ".hidden", "x" * 200]
)
def test_a_name_that_could_do_harm(api, name):
    admin = api.project(slices=0)
    assert post_slice(admin, picture(), case=name).status_code == 422
    assert admin.post("/projects", json={"name": name}).status_code == 422
    assert count(api, Slice) == 0


@pytest.mark.parametrize("index", [-1, 100_001, "x"])
def test_an_index_that_cannot_be(api, index):
    assert post_slice(api.project(slices=0), picture(), index=index).status_code == 422


def test_a_mask_of_another_size_names_both(api):
    admin = api.project()
    reply = admin.post("/slices/1/masks", content=mask(size=16))
    assert reply.status_code == 422
    assert "16 × 16" in problem_of(reply)["detail"]
    assert "32 × 32" in problem_of(reply)["detail"]


def test_a_mask_with_a_class_that_the_project_lacks(api):
    admin = api.project()
    reply = admin.post("/slices/1/masks", content=mask(value=255))
    assert reply.status_code == 422
    assert "255" in problem_of(reply)["detail"]
    assert "lesion" in problem_of(reply)["detail"]
    assert count(api, Mask) == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/slices/999/image"),
        ("GET", "/slices/999/suggestion"),
        ("GET", "/slices/999/masks"),
        ("POST", "/slices/999/masks"),
        ("GET", "/slices/1/suggestion"),
        ("GET", "/slices/1/uncertainty"),
        ("GET", "/masks/999"),
        ("GET", "/jobs/999"),
        ("GET", "/jobs/999/events"),
        ("POST", "/jobs/999/cancel"),
        ("GET", "/models/999/weights"),
        ("GET", "/models/999/masks"),
        ("POST", "/models/999/promote"),
        ("POST", "/leases/999/renew"),
        ("DELETE", "/leases/999"),
        ("GET", "/projects/nobody"),
        ("GET", "/query/next?project=nobody"),
        ("GET", "/no/such/path"),
    ],
)
def test_what_is_not_there(api, method, path):
    admin = api.project()
    reply = admin.request(method, path, content=mask() if method == "POST" else None)
    assert reply.status_code == 404
    problem_of(reply)


@pytest.mark.parametrize("path", ["/slices/0/image", "/slices/x/image", f"/slices/{2**40}/image"])
def test_an_id_that_cannot_be(api, path):
    assert api.project().get(path).status_code == 422


def test_a_method_that_the_path_does_not_take(api):
    reply = api.client.put("/projects")
    assert reply.status_code == 405
    assert "PUT" in problem_of(reply)["detail"]
    assert "allow" in reply.headers


@pytest.mark.parametrize("size", [0, 51, -1, "many"])
def test_a_batch_size_out_of_range(api, size):
    reply = api.project().get("/query/next", params={"size": size})
    assert reply.status_code == 422
    assert problem_of(reply)["errors"][0]["where"] == "query.size"


@pytest.mark.parametrize(
    "change",
    [
        {"query": {"strategy": "entrpy"}},
        {"query": {"size": 0}},
        {"query": {"target_threshold": 1.5}},
        {"query": {"unknown": 1}},
        {"training": {"learning_rate": -1}},
        {"classes": ["background"]},
        {"classes": ["background", "x", "x"]},
        {"colour": "red"},
    ],
)
def test_project_settings_that_cannot_be(api, change):
    admin = api.as_("root", Role.ADMIN)
    reply = admin.post("/projects", json={"name": "p", **change})
    assert reply.status_code == 422
    problem_of(reply)


def test_a_token_that_is_missing_wrong_or_revoked(api):
    api.project()
    token = api.token("ann", Role.ANNOTATOR)
    for header in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}):
        reply = api.client.get("/query/next", headers=header)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        problem_of(reply)
    forged = token[:-1] + ("a" if token[-1] != "a" else "b")
    for text, status in ((token, 200), (forged, 401)):
        headers = {"Authorization": f"Bearer {text}"}
        assert api.client.get("/query/next", headers=headers).status_code == status
    with api.database.writing() as session:
        revoke_token(session, HERE, int(token.split("_")[1]))
    reply = api.client.get("/query/next", headers={"Authorization": f"Bearer {token}"})
    assert reply.status_code == 401
    assert "revoked" in problem_of(reply)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("POST", "/projects/brain/slices?case=a&index=0", Role.REVIEWER),
        ("GET", "/projects/brain/events", Role.REVIEWER),
        ("GET", "/projects/brain/reviews", Role.ANNOTATOR),
    ],
)
def test_a_weaker_role_than_the_call_needs(api, method, path, role):
    api.project()
    json = {"name": "x", "verdict": "accepted"} if "slices" not in path else None
    reply = api.as_("weak", role).request(method, path, json=json)
    assert reply.status_code == 403
    assert str(role) in problem_of(reply)["detail"]


def test_someone_elses_lease(api):
    api.project()
    one, other = api.as_("one"), api.as_("other")
    lease = one.get("/query/next").json()["items"][0]["lease"]["id"]
    assert other.post(f"/leases/{lease}/renew").status_code == 403
    assert other.delete(f"/leases/{lease}").status_code == 403
    assert one.post(f"/leases/{lease}/renew").status_code == 200


def test_a_locked_database_is_a_503_that_can_be_repeated(api, database_url):
    if not database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL has no database-wide write lock")
    admin = api.project()
    annotator = api.as_("ann")
    item = annotator.get("/query/next").json()["items"][0]
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        with api.database.writing() as session:
            session.connection()
            locked.set()
            release.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait()
    impatient(api.database)
    path = f"/slices/{item['slice']}/masks"
    reply = annotator.post(path, content=mask())
    release.set()
    holder.join()
    assert reply.status_code == 503
    assert reply.headers["retry-after"]
    assert "repeat" in problem_of(reply)["detail"]
    assert annotator.post(path, content=mask()).status_code == 201
    assert admin.get("/health/ready").status_code == 200


def impatient(database) -> None:
    """Make the connections of the test wait for a lock no longer than a moment."""
    from sqlalchemy import event

    @event.listens_for(database.engine, "checkout")
    def shorten(connection, record, proxy):
        connection.execute("PRAGMA busy_timeout=50")


def test_a_full_disk_is_a_503_and_loses_nothing(api, database_url):
    if not database_url.startswith("sqlite"):
        pytest.skip("filling PostgreSQL's disk needs a disk of its own")
    from sqlalchemy import event

    admin = api.project()
    annotator = api.as_("ann")
    item = annotator.get("/query/next").json()["items"][0]
    path = f"/slices/{item['slice']}/masks"
    assert annotator.post(path, content=mask()).status_code == 201
    full = [True]

    @event.listens_for(api.database.engine, "checkout")
    def limit(connection, record, proxy):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages if full[0] else 1_000_000}")

    big = png_of(np.random.default_rng(0).integers(0, 65535, (200, 200)).astype(np.uint16))
    reply = post_slice(admin, big)
    assert reply.status_code == 503
    assert "full" in problem_of(reply)["detail"]
    np.testing.assert_array_equal(pixels_of(annotator.get(path).content), pixels_of(mask()))
    full[0] = False
    assert post_slice(admin, big).status_code == 201


def test_the_same_slice_from_two_sides_at_once_is_kept_once(api):
    admin = api.project(slices=0)
    replies: list[int] = []

    def send() -> None:
        replies.append(post_slice(admin, picture()).status_code)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies.count(201) == 1
    assert set(replies) <= {200, 201, 503}
    assert post_slice(admin, picture()).status_code == 200
    assert count(api, Slice) == 1


def test_nobody_uploads_without_a_token(api):
    api.project(slices=0)
    api.settings.max_upload_bytes = 1000
    where = {"case": "a", "index": 0}
    reply = api.client.post("/projects/brain/slices", params=where, content=b"x" * 2000)
    assert reply.status_code == 401


def test_an_error_of_ours_is_a_problem_without_its_inside(api, monkeypatch):
    monkeypatch.setattr("app.api.projects.find_project", lambda *_: 1 / 0)
    reply = api.project().get("/projects/brain")
    assert reply.status_code == 500
    assert "division" not in problem_of(reply)["detail"]
