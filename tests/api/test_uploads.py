"""Pictures on their way in: refused by their headers, decoded some at a time and in no session."""

import asyncio
import io
import threading

import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image

from app.api import slices, uploads
from app.api.dependencies import _reading, _writing, _writing_unknown
from app.core.errors import ImageUnreadable
from app.core.pixels import size_of
from app.main import create_app
from app.store import Role
from tests.conftest import RecordingDispatcher, mask, picture, png_of, problem_of


def tiff(shape: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros(shape, np.uint8), compression="zlib")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_a_mask_of_another_size_is_refused_from_its_header(api, monkeypatch, kind):
    def decoded(*_):
        raise AssertionError("it was decoded")

    monkeypatch.setattr(uploads, "decode_upload", decoded)
    item = api.project().get("/query/next").json()["items"][0]
    zeros = np.zeros((200, 100), np.uint8)
    body = png_of(zeros) if kind == "png" else tiff((200, 100))
    found = problem_of(api.as_("ann").post(f"/slices/{item['slice']}/masks", content=body))
    assert (found["status"], found["title"]) == (422, "Mask shape mismatch")
    assert "100 × 200 pixels" in found["detail"]
    missing = problem_of(api.as_("eva").post("/slices/999/masks", content=mask()))
    assert (missing["status"], missing["detail"]) == (404, "there is no slice 999")


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_size_is_read_from_the_header_alone(interlaced):
    wide = png_of(np.zeros((3, 70), np.uint16))
    assert size_of(wide) == (3, 70)
    assert size_of(wide[:40]) == (3, 70)
    assert size_of(tiff((5, 9))) == (5, 9)
    buffer = io.BytesIO()
    Image.new("P", (8, 4)).save(buffer, format="PNG", interlace=interlaced)
    assert size_of(buffer.getvalue()) == (4, 8)
    for nothing in (b"", wide[:20], b"II*\0", tiff((5, 9))[:30], b"\xff\xd8\xff"):
        assert size_of(nothing) is None


def limited(api, **limits):
    settings = api.settings.model_copy(update=limits)
    return create_app(settings, api.database, RecordingDispatcher())


def test_large_pictures_take_turns_and_leave_others_their_threads(api, monkeypatch):
    """More of them than the server has threads: others are served meanwhile."""
    api.project()
    admin, ann = (
        {"Authorization": f"Bearer {api.token(name, role)}"}
        for name, role in (("poster", Role.ADMIN), ("ann", Role.ANNOTATOR))
    )
    lock, go_on = threading.Lock(), threading.Event()
    at_work, most = 0, 0

    def slowly(*_):
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        assert go_on.wait(120)
        with lock:
            at_work -= 1
        # What follows would wait for the database, which is not the subject.
        raise ImageUnreadable("it was only to take its time")

    monkeypatch.setattr(uploads, "decode_picture", slowly)
    app = limited(api, decodings_at_once=2, uploads_per_account=100)

    async def post_and_ask() -> tuple[list[int], int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            posts = [
                asyncio.create_task(
                    client.post(
                        "/projects/brain/slices",
                        params={"case": "new", "index": n},
                        content=picture(seed=n),
                        headers=admin,
                    )
                )
                for n in range(45)
            ]
            while at_work < 2:
                await asyncio.sleep(0.01)
            served = (await client.get("/query/next?project=brain", headers=ann)).status_code
            drawn = await client.post("/slices/1/masks", content=mask(9), headers=ann)
            assert drawn.status_code == 422
            go_on.set()
            return [reply.status_code for reply in await asyncio.gather(*posts)], served

    posted, served = asyncio.run(post_and_ask())
    assert served == 200
    assert set(posted) == {415}
    assert most == 2


def test_bodies_of_one_account_wait_and_those_of_others_do_not(api):
    api.project()
    ann, eva = ({"Authorization": f"Bearer {api.token(name, Role.ANNOTATOR)}"} for name in "ae")
    app = limited(api, uploads_per_account=1)

    async def send() -> list[int]:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow_body():
            begun.set()
            await go_on.wait()
            yield mask()

        read = []

        async def second_body():
            read.append(True)
            yield mask(value=0)

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            post = client.post
            first = asyncio.create_task(post("/slices/1/masks", content=slow_body(), headers=ann))
            await begun.wait()
            second = asyncio.create_task(
                post("/slices/2/masks", content=second_body(), headers=ann)
            )
            other = await post("/slices/3/masks", content=mask(), headers=eva)
            assert not read
            go_on.set()
            return [reply.status_code for reply in (other, await first, await second)]

    assert asyncio.run(send()) == [201, 201, 201]


def dependencies_of(dependant) -> list:
    """What a route depends on, in the order in which it is called."""
    found = []
    for one in dependant.dependencies:
        found += [*dependencies_of(one), one.call]
    return found


def test_no_route_decodes_within_a_session():
    decoding, checked = {uploads._picture, uploads._drawn}, 0
    for route in slices.router.routes:
        calls = dependencies_of(route.dependant)
        writing = [n for n, call in enumerate(calls) if call in (_writing, _writing_unknown)]
        reading = [n for n, call in enumerate(calls) if call is _reading]
        for place, call in enumerate(calls):
            if call in decoding:
                checked += 1
                assert writing, route.path
                assert all(place < other for other in (*writing, *reading)), route.path
    assert checked == 2
