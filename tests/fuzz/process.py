"""A real server process, watched from outside: its memory, its files, and how long it takes."""

import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from app.loop.accounts import create_token
from app.store import Database, Role

UNLIMITED = (
    "REQUESTS_PER_MINUTE_BY_TOKEN",
    "REQUESTS_PER_MINUTE_BY_ADDRESS",
    "FAILED_SIGN_INS_PER_MINUTE",
    "FAILED_TOKENS_PER_MINUTE",
)


@dataclass
class ServerProcess:
    """A running `sfumato serve`, and a client of it that is an admin."""

    process: psutil.Popen
    folder: Path
    client: httpx.Client
    slowest: tuple[float, str] = (0.0, "nothing")
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def send(self, what: str, method: str, path: str, **how) -> httpx.Response:
        """One request; `what` names it where it turns out to be the slowest."""
        begun = time.perf_counter()
        reply = self.client.request(method, path, **how)
        self.slowest = max(self.slowest, (time.perf_counter() - begun, what))
        self.statuses[reply.status_code] = self.statuses.get(reply.status_code, 0) + 1
        return reply

    def exchange(self, request: bytes) -> bytes:
        """What comes back for these bytes, until the connection ends or nothing more comes."""
        url = self.client.base_url
        reply = b""
        with socket.create_connection((url.host, url.port), timeout=2) as connection:
            with suppress(OSError):
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while part := connection.recv(65536):
                    reply += part
        return reply

    def peak_memory(self) -> int:
        """The most bytes of memory that the process has held so far (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def left_behind(self) -> list[str]:
        """Files of uploads, and temporary ones."""
        return [
            path.relative_to(self.folder).as_posix()
            for name in ("data/transfers", "tmp")
            for path in (self.folder / name).rglob("*")
        ]


@contextmanager
def server_process(url: str, folder: Path, **settings: str) -> Iterator[ServerProcess]:
    """Start one on that database. settings: of the installation, in capitals."""
    database = Database(url)
    with database.writing() as session:
        token = create_token(session, "root", Role.ADMIN)
    database.dispose()
    (folder / "tmp").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = dict.fromkeys(UNLIMITED, "0") | {"DATA": str(folder / "data"), "DATABASE_URL": url}
    given |= {"PORT": str(port), "SWEEP_SECONDS": "3600", "THREADS": "1"} | settings
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SFUMATO_")}
    environment |= {f"SFUMATO_{key}": value for key, value in given.items()}
    environment["TMPDIR"] = str(folder / "tmp")
    with (folder / "log").open("w") as log:
        process = psutil.Popen(
            [sys.executable, "-m", "app.cli", "serve"], env=environment, stdout=log, stderr=log
        )
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=300) as one:
            _wait(one, process, folder / "log")
            yield ServerProcess(process, folder, one)
    finally:
        process.terminate()
        process.wait(60)


def _wait(client: httpx.Client, process: psutil.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.get("/health/live")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the server did not start:\n{log.read_text()[-4000:]}")
