"""Thousands of broken bodies and archives at a real server, each beside a good one that comes in.

SFUMATO_FUZZ=2000 sends 2,000 of each of the five kinds, 10,000 in all; without it, some.
"""

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import fresh_database, mask, picture, pixels_of, png_of
from tests.fuzz import goods
from tests.fuzz.damage import damaged, resummed
from tests.fuzz.process import ServerProcess, server_process
from tests.fuzz.traps import TRAPS, good_case, trap

TRIES = int(os.environ.get("SFUMATO_FUZZ", "20"))
# Of pictures; with the usual limit where thousands are tried.
MOST_PIXELS = 8192**2 if TRIES >= 1000 else 2048**2
# What a server may hold at the most while it is sent all this, over what it holds at its start:
# 16 bytes for each pixel of two pictures that are decoded at once, and some (docs/limits.md).
MOST_MEMORY = 2 * 16 * MOST_PIXELS + 300 * 2**20
# Broken files that come in one archive, beside the good case.
FILES_AT_ONCE = 20
BRAIN = {"name": "brain", "classes": ["background", "lesion"]}


# Engines, and whether archives are read by processes of their own: by the server itself, what
# they cost is seen in its memory; by others, what they break.
KINDS = ["sqlite 0", "postgresql 0", *(["sqlite 1"] if TRIES >= 1000 else [])]


@pytest.fixture(scope="module", params=KINDS)
def server(request, tmp_path_factory):
    engine, processes = request.param.split()
    folder = tmp_path_factory.mktemp("server")
    (folder / "secret").write_bytes(bytes(64))
    with (
        fresh_database(request, engine, folder) as url,
        server_process(
            url, folder, IMPORT_PROCESSES=processes, MAX_IMAGE_PIXELS=str(MOST_PIXELS)
        ) as one,
    ):
        assert one.send("a project", "POST", "/projects", json=BRAIN).status_code == 201
        # What is loaded by the first of each kind is no part of what they cost.
        send_picture(one, picture(), "first")
        send_archive(one, "first", goods.packed(good_case()))
        at_start = one.peak_memory()
        yield one
        assert one.process.is_running()
        grown = one.peak_memory() - at_start
        seconds, what = one.slowest
        print(f"\n{one.statuses}; the slowest took {seconds:.2f} s: {what}")
        print(f"memory: {at_start / 2**20:.0f} MB at the start, {grown / 2**20:.0f} MB more")
        assert grown < MOST_MEMORY
        assert one.left_behind() == []
        traces = [line for line in one.log.splitlines() if "Traceback" in line]
        assert not traces, traces[0].replace("\\n", "\n")


def send_picture(server: ServerProcess, body: bytes, case: str, what: str = "a picture"):
    where = {"case": case, "index": 0}
    return server.send(what, "POST", "/projects/brain/slices", params=where, content=body)


def send_archive(server: ServerProcess, project: str, body: bytes, layout="nifti", what=""):
    path = f"/projects/{project}/imports"
    where = {"layout": layout, "filename": "set.zip"}
    return server.send(what or "an archive", "POST", path, params=where, content=body)


def refused(reply) -> None:
    """In words, and not as an error of ours."""
    assert 400 <= reply.status_code < 500, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert len(reply.json()["detail"]) > 10


def seeds(kind: str) -> list[random.Random]:
    return [random.Random(f"{kind} {n}") for n in range(TRIES)]  # noqa: S311  # for tests


def broken(rng: random.Random, good: bytes) -> bytes:
    body = damaged(rng, good)
    return resummed(body) if body.startswith(b"\x89PNG") and rng.random() < 0.5 else body


def test_pictures(server):
    for n, rng in enumerate(seeds("picture")):
        reply = send_picture(
            server, broken(rng, rng.choice(goods.pictures())), f"odd-{n}", "a broken one"
        )
        if reply.status_code not in (200, 201):
            refused(reply)
        good = picture(seed=n)
        made = send_picture(server, good, f"good-{n}")
        assert made.status_code == 201, made.text
        kept = server.send("a picture", "GET", made.json()["image"])
        np.testing.assert_array_equal(pixels_of(kept.content), pixels_of(good))


def test_masks(server):
    path = f"/slices/{send_picture(server, picture(), 'drawn').json()['id']}/masks"
    for n, rng in enumerate(seeds("mask")):
        body = broken(rng, rng.choice(goods.masks()))
        reply = server.send("a broken mask", "POST", path, content=body)
        if reply.status_code not in (200, 201):
            refused(reply)
        good = mask(corner=n % 31 + 1)
        made = server.send("a mask", "POST", path, content=good)
        assert made.status_code in (200, 201), made.text
        kept = server.send("a mask", "GET", path)
        np.testing.assert_array_equal(pixels_of(kept.content), pixels_of(good))


def odd_json(rng: random.Random, good: dict) -> bytes:
    """A body of JSON that is damaged, or holds what JSON may hold and nobody expects."""
    text = json.dumps(good).encode()
    odd = rng.choice(ODD)
    if rng.random() < 0.4:
        return damaged(rng, text)
    parts = text.split(b":")
    at = rng.randrange(1, len(parts)) if len(parts) > 1 else 0
    _, comma, rest = parts[at].partition(b",")
    parts[at] = odd + (comma + rest if comma else b"}" * text.count(b"}"))
    return b":".join(parts)


ODD = [
    *(b"Infinity", b"-Infinity", b"NaN", b"1e999", b"-1e-999", b"-0", b"0.0", b"01"),
    *(b"9" * 30, b"9" * 5000, b"1" + b"0" * 400),
    *(b'"\\u0000"', b'"\\ud800"', b'"\\u202e"', b'"\\u001b[31m"', b'"\xff"', b'{"\\ud800": 1}'),
    *(b"null", b"true", b"[]", b"{}", b'""', b"[null]", b'{"a": 1, "a": 2}'),
    *(b"[" * depth + b"]" * depth for depth in (100, 200, 400, 600, 900)),
    *(b'{"a":' * depth + b"1" + b"}" * depth for depth in (100, 300)),
    *(b"[" * 50_000, b'"' + b"x" * 9000 + b'"', b"'x'", b"//", b"\xef\xbb\xbf1"),
]
BODIES: list[tuple[str, str, dict]] = [
    ("POST", "/projects", BRAIN | {"query": {"size": 4}, "training": {"width": 2}}),
    ("PATCH", "/projects/brain", {"query": {"size": 4, "stop_below": 0.1}}),
    ("PATCH", "/projects/brain", {"training": {"epochs": 4, "learning_rate": 0.1}}),
    ("POST", "/session", {"token": "x"}),
    ("POST", "/session", {"account": "x", "password": "y"}),
    ("POST", "/tokens", {"name": "ann", "role": "annotator", "project": "brain"}),
    ("PUT", "/projects/brain/members/ann", {"role": "viewer"}),
    ("POST", "/projects/brain/hooks", {"url": "https://example.org/x", "events": ["test"]}),
    ("POST", "/jobs", {"project": "brain", "kind": "retrain"}),
    ("PATCH", "/accounts/ann", {"disabled": False}),
    ("PUT", "/accounts/ann/password", {"password": "a b c d e f g"}),
    ("POST", "/masks/1/review", {"verdict": "rejected", "comment": "too small"}),
    ("DELETE", "/leases/1", {"reason": "motion"}),
]


def test_json(server):
    path = f"/slices/{send_picture(server, picture(), 'drawn').json()['id']}/masks"
    number = server.send("a mask", "POST", path, content=mask()).json()["id"]
    for n, rng in enumerate(seeds("json")):
        method, where, good = rng.choice(BODIES)
        body = odd_json(rng, good)
        kind = rng.choice(("application/json",) * 9 + ("text/plain", "application/json; charset=x"))
        headers = {"content-type": kind}
        reply = server.send(f"{where}: {body[:80]!r}", method, where, content=body, headers=headers)
        if not reply.is_success:
            refused(reply)
        comment = {"verdict": "accepted", "comment": f"number {n}: Größe 脳"}
        kept = server.send("a review", "POST", f"/masks/{number}/review", json=comment)
        assert kept.status_code == 200, kept.text


def came_in(server: ServerProcess, project: str, report: dict, name: str = "good") -> None:
    """The good case is there with all of its slices."""
    taken = {case["name"]: case["slices"] for case in report["taken"]}
    assert name in taken, report
    where = {"case": name}
    path = f"/projects/{project}/slices"
    items = server.send("slices", "GET", path, params=where).json()["items"]
    assert len(items) == taken[name] > 2


def test_archives_that_are_damaged(server):
    files = good_case() | {f"more/{n}": c for n, c in goods.cases()["nifti"].items()}
    good = goods.packed(files)
    for n, rng in enumerate(seeds("archive")):
        what = rng.choice((good, goods.packed(files, 0)))
        reply = send_archive(server, f"cut-{n}", damaged(rng, what), what=f"archive {n}")
        if reply.status_code != 200:
            refused(reply)
        if n % FILES_AT_ONCE == 0:
            made = send_archive(server, f"whole-{n}", good)
            came_in(server, f"whole-{n}", made.json())


def archive_of_broken(rng: random.Random, layout: str) -> bytes:
    """A good case and broken ones, each in a folder of its own."""
    kept = goods.cases()[layout]
    odd = goods.cases()["another series"] if layout == "dicom" else kept
    one = next(iter(kept))
    files = {f"good/{name}": content for name, content in kept.items()}
    if layout != "dicom":
        files = {f"good{Path(one).suffix}": kept[one]}
    for number in range(FILES_AT_ONCE):
        chosen = rng.choice(list(odd))
        for name, content in odd.items():
            body = damaged(rng, content) if name == chosen else content
            files[f"odd-{number}/{name}"] = body
    return goods.packed(files)


def test_archives_of_damaged_files(server):
    layouts = ("nifti", "nrrd", "dicom")
    for n, rng in enumerate(seeds("files")[: max(3, TRIES // FILES_AT_ONCE)]):
        layout = layouts[n % 3]
        body = archive_of_broken(rng, layout)
        made = send_archive(server, f"p-{n}", body, layout, what=f"{layout} {n}")
        assert made.status_code == 200, made.text
        report = made.json()
        said = str(report["refused"]) + str(report["left_out"])
        assert "should not happen" not in said, said
        came_in(server, f"p-{n}", report)


def test_archives_that_were_made_to_harm(server):
    for n, name in enumerate(TRAPS):
        set_ = trap(name)
        made = send_archive(server, f"trap-{n}", set_.body, set_.layout, what=name)
        if set_.whole:
            refused(made)
        else:
            assert made.status_code == 200, (name, made.text)
            came_in(server, f"trap-{n}", made.json(), set_.good)
            said = str(made.json())
            assert "should not happen" not in said, (name, said)
            assert "root:" not in said


LONG = b"x" * 2**21
REQUESTS = [
    b"GET /projects/\xff\xfe HTTP/1.1",
    b"GET /projects/%ff%fe%00 HTTP/1.1",
    b"GET /projects/a%2fb%2f..%2f.. HTTP/1.1",
    b"GET /../../../etc/passwd HTTP/1.1",
    b"GET /projects?x=\x85\xff HTTP/1.1",
    b"GET /projects?cursor=%ED%A0%80&limit=%00 HTTP/1.1",
    b"GET http://[::1/ HTTP/1.1",
    b"GET //[ HTTP/1.1",
    b"GET * HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"FOO /projects HTTP/1.1",
    b"HEAD /projects HTTP/1.1",
    b"CONNECT example.org:443 HTTP/1.1",
    b"GET /projects HTTP/0.9",
    b"GET /projects HTTP/9.9",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET /projects HTTP/1.1\r\nAuthorization: Bearer \xff\xfe",
    b'GET /session HTTP/1.1\r\nCookie: sfumato_session=\xe4; a="\\; ;;=',
    b"GET /projects HTTP/1.1\r\nHost: [",
    b"GET /projects HTTP/1.1\r\nX-Forwarded-For: [,\xff\r\nX-Forwarded-Proto: x:",
    b"GET /projects HTTP/1.1\r\nX-Request-Id: " + b"y" * 9000,
    b"GET /projects HTTP/1.1\r\nRange: bytes=" + b"0-1," * 2000,
    b"POST /session HTTP/1.1\r\nContent-Length: -1",
    b"POST /session HTTP/1.1\r\nContent-Length: 9e9",
    b"POST /session HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
    b"POST /session HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff",
    b"POST /session HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0",
    b"POST /session HTTP/1.1\r\nContent-Length: 734003200\r\n\r\n" + LONG,
    b"POST /session HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" + LONG,
    b"POST /session HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n",
]


@pytest.mark.parametrize("upgraded", [False, True])
def test_requests_that_are_none(server, upgraded):
    for request in REQUESTS:
        line, _, rest = request.partition(b"\r\n")
        more = b"Connection: Upgrade\r\nUpgrade: websocket\r\n" if upgraded else b""
        reply = server.exchange(line + b"\r\nHost: x\r\n" + more + rest + b"\r\n\r\n")
        status = reply.split(b" ", 2)[1:2]
        assert status == [] or int(status[0]) < 500, (request[:200], reply)
        assert server.send("health", "GET", "/health/live").status_code == 200


@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_largest_pictures_that_may_come(server, channels):
    side = int(MOST_PIXELS**0.5)
    largest = png_of(np.zeros((side, side, *channels), np.uint8 if channels else np.uint16))
    assert len(largest) < 300_000
    first = send_picture(server, picture(), f"beside-{len(channels)}").json()["id"]
    path = f"/slices/{first}/masks"
    assert server.send("a large mask", "POST", path, content=largest).status_code == 422
    # Several at once take turns.
    with ThreadPoolExecutor(4) as threads:
        cases = [f"large-{len(channels)}-{n}" for n in range(4)]
        made = list(threads.map(lambda case: send_picture(server, largest, case, case), cases))
    # The project has one channel, for grey.
    assert {reply.status_code for reply in made} == {422 if channels else 201}
