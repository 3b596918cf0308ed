"""Connections that only lie open, send slowly or never read: they cost nobody else anything."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from uvicorn.server import ServerState

from app.connections import GuardedProtocol, guarded
from app.settings import Settings
from tests.served import served

# A request that is under way for as long as the client likes: no clock runs.
BEGUN = b"POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
NO_CLOCKS = {"header_seconds": 0, "body_seconds": 0}


def rest_of(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    found = b""
    try:
        while some := connection.recv(65536):
            found += some
    except ConnectionResetError:
        pass
    return found


def dribble(connection: socket.socket, seconds: float = 60) -> bytes:
    """Send a byte now and then until the server closes; what it said."""
    until = time.monotonic() + seconds
    connection.settimeout(0.05)
    while time.monotonic() < until:
        try:
            connection.sendall(b"x")
            said = connection.recv(65536)
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            return b""
        return said
    raise AssertionError("it was never closed")


def test_half_open_connections_keep_nobody_out(sqlite_database):
    with served(sqlite_database, max_connections=8, **NO_CLOCKS) as running:
        opened = [running.connect() for _ in range(40)]
        for _ in range(3):
            assert httpx.get(f"{running.url}/health/ready", timeout=60).status_code == 200
        # Those that lay open longest made room.
        assert rest_of(opened[0]) == b""
        assert len(running.server.server_state.connections) <= 8
        for connection in opened:
            connection.close()


def test_where_all_are_at_work_one_more_is_told_to_come_again(sqlite_database):
    with served(sqlite_database, max_connections=4, **NO_CLOCKS) as running:
        opened = [running.connect() for _ in range(4)]
        for connection in opened:
            connection.sendall(BEGUN)
        server = running.server.server_state
        wait_until(lambda: len(server.tasks) == 4)
        refused = rest_of(running.connect())
        head, _, body = refused.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 5" in head
        assert json.loads(body)["detail"] == "too many connections are open"
        opened.pop().close()
        wait_until(lambda: len(server.connections) < 4)
        assert httpx.get(f"{running.url}/health/live", timeout=60).status_code == 200
        for connection in opened:
            connection.close()


def test_one_address_has_its_share_and_a_trusted_proxy_more(sqlite_database):
    limits = {"connections_per_address": 2, **NO_CLOCKS}
    with served(sqlite_database, trusted_proxies="192.0.2.1", **limits) as running:
        opened = [running.connect() for _ in range(2)]
        for connection in opened:
            connection.sendall(BEGUN)
        wait_until(lambda: len(running.server.server_state.tasks) == 2)
        assert b" 503 " in rest_of(running.connect())
        other = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=other, base_url=running.url, timeout=60) as elsewhere:
            assert elsewhere.get("/health/live").status_code == 200
        for connection in opened:
            connection.close()
    with served(sqlite_database, trusted_proxies="127.0.0.1", **limits) as running:
        opened = [running.connect() for _ in range(3)]
        for connection in opened:
            connection.sendall(BEGUN)
        wait_until(lambda: len(running.server.server_state.tasks) == 3)
        for connection in opened:
            connection.close()


@pytest.mark.parametrize("dribbled", [False, True])
def test_a_header_that_does_not_end_is_closed(sqlite_database, dribbled):
    with served(sqlite_database, header_seconds=1) as running, running.connect() as slow:
        # A byte now and then sets no clock back.
        said = dribble(slow) if dribbled else rest_of(slow)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"the header was sent too slowly" in said


def test_a_body_that_comes_too_slowly_is_closed(sqlite_database):
    limits = {"body_seconds": 1, "body_bytes_per_second": 10_000}
    with served(sqlite_database, **limits) as running, running.connect() as slow:
        slow.sendall(BEGUN)
        said = dribble(slow)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"the body was sent too slowly" in said


def test_a_reply_that_nobody_reads_is_given_up(sqlite_database):
    with served(sqlite_database, sending=4096, reply_seconds=0.3) as running:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(60)
            deaf.connect((running.host, running.port))
            deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
            state = running.server.server_state
            wait_until(lambda: state.connections)
            wait_until(lambda: not state.connections)
            head, _, body = rest_of(deaf).partition(b"\r\n\r\n")
        promised = re.search(rb"content-length: (\d+)", head)
        assert len(body) < int(promised[1])


class Line:
    """A client's end of a connection: what was written to it, whether it was closed."""

    def __init__(self) -> None:
        self.closed = False
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n"


async def waits(scope, receive, send) -> None:
    """An application that never answers."""
    await asyncio.Event().wait()


async def answers(scope, receive, send) -> None:
    """An application that answers at once, whatever there is to read."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


@contextmanager
def connected(app, **limits) -> Iterator[tuple[GuardedProtocol, Line]]:
    """The protocol, its clocks moved by hand, within a running loop."""
    protocol = guarded(Settings(**limits))
    config = uvicorn.Config(app, http=protocol, log_config=None, lifespan="off")
    config.load()
    connection, line = protocol(config, ServerState(), {}), Line()
    connection.connection_made(line)
    yield connection, line
    connection.connection_lost(None)
    for task in connection.tasks:
        task.cancel()


def test_a_body_is_measured_by_spans_and_not_while_the_server_does_not_read():
    async def measured() -> list[bool]:
        seen = []
        with connected(waits, body_seconds=10, body_bytes_per_second=100) as (connection, line):
            connection.data_received(
                b"POST / HTTP/1.1\r\nContent-Length: 999999\r\nHost: x\r\n\r\n"
            )
            for sent, read in ((1000, True), (99_999, False), (0, False), (0, True), (0, True)):
                if sent:
                    connection.data_received(b"x" * sent)
                if read:
                    connection.cycle.body.clear()
                    connection.flow.resume_reading()
                connection._clock.cancel()
                connection._measure()
                seen.append(line.closed)
        return seen

    # Enough; so much that reading pauses; paused; read on within the span; and then nothing came.
    assert asyncio.run(measured()) == [False, False, False, False, True]


def test_clocks_run_for_what_is_owed_and_from_its_beginning():
    async def watched() -> None:
        with connected(answers) as (connection, line):
            of_header = connection._clock
            connection.data_received(b"GET / HTTP/1.1\r\n")
            assert connection._clock is of_header
            assert not of_header.cancelled()
            connection.data_received(b"Host: x\r\n\r\n")
            assert of_header.cancelled()
            await asyncio.gather(*connection.tasks)
            assert line.written.endswith(b"done\r\n0\r\n\r\n")
            # Between requests uvicorn's own clock runs; the next header has one of its own.
            assert connection._owed is None
            connection.data_received(b"G")
            of_header = connection._clock
            connection.data_received(b"E")
            assert connection._clock is of_header
            assert not of_header.cancelled()

    asyncio.run(watched())


def test_a_body_is_owed_also_where_the_reply_is_out_long_since():
    async def watched() -> None:
        with connected(answers) as (connection, line):
            connection.data_received(POST)
            await asyncio.gather(*connection.tasks)
            connection.data_received(b"x")
            connection._clock.cancel()
            connection._measure()
            assert line.closed
            # There is one reply, and nothing behind it.
            assert line.written.endswith(b"done\r\n0\r\n\r\n")

    asyncio.run(watched())


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
