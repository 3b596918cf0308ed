"""A real little receiver of webhooks on 127.0.0.1."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """``answers``: a status for each request in turn, then 204; ``came``: set by each."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[str, Any, bytes]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    # Called with the handler instead of an answer.
    behave: Callable[[BaseHTTPRequestHandler], None] | None = None
    listen: Callable[[], None] = lambda: None

    @property
    def deliveries(self) -> list[str]:
        return [headers["Sfumato-Delivery"] for _, headers, _ in self.requests]


@contextmanager
def receiving(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, listening: bool = True
) -> Iterator[Receiver]:
    """A receiver; not ``listening``, its port is taken and refuses until ``listen`` is called."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.path, self.headers, body))
            receiver.came.set()
            if receiver.behave is not None:
                receiver.behave(self)
                return
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    server.server_bind()
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    receiver.url = f"{scheme}://{host}:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)

    def listen() -> None:
        server.server_activate()
        thread.start()

    receiver.listen = listen
    if listening:
        listen()
    try:
        yield receiver
    finally:
        if thread.is_alive():
            server.shutdown()
        server.server_close()
