"""The application behind a real server, as `sfumato serve` runs it, with limits of one's own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.main import create_app
from app.serving import Server
from app.settings import Settings
from app.store import Database
from tests.conftest import RecordingDispatcher


@dataclass
class Served:
    """A running server."""

    host: str
    port: int
    server: Server
    thread: threading.Thread

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def connect(self) -> socket.socket:
        """A bare connection; whoever reads from it waits for a while, not for ever."""
        return socket.create_connection((self.host, self.port), timeout=60)

    def stop(self) -> None:
        self.server.should_exit = True


@contextmanager
def served(
    database: Database, sending: int = 0, seconds_to_stop: int = 5, **limits: Any
) -> Iterator[Served]:
    """sending: bytes that the kernel keeps for a client that does not read; 0 for the usual."""
    settings = Settings(sweep_seconds=3600, import_processes=0, **limits)
    listener = socket.socket()
    if sending:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sending)
    listener.bind(("127.0.0.1", 0))
    ready = threading.Event()
    server = Server(
        create_app(settings, database, RecordingDispatcher()),
        settings,
        seconds_to_stop,
        on_ready=ready.set,
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert ready.wait(60)
        yield Served(*listener.getsockname(), server, thread)
    finally:
        server.should_exit = True
        thread.join()
