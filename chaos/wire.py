"""A wire between two programs that can be cut, or carry nothing for a while."""

import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path

_CHUNK = 65536


class Wire:
    """Listens on a loopback port and passes on to an address, or to a socket in the file system."""

    def __init__(self, upstream: tuple[str, int] | Path) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Every connection ends in the middle of whatever it carries; new ones can be made."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Carry nothing, and say nothing, until ``flow``."""
        self._open.clear()

    def flow(self) -> None:
        """Carry on."""
        self._open.set()

    def _accept(self) -> None:
        while True:
            down, _ = self._listener.accept()
            threading.Thread(target=self._carry, args=(down,), daemon=True).start()

    def _carry(self, down: socket.socket) -> None:
        try:
            up = self._connected()
        except OSError:
            down.close()
            return
        pair = (down, up)
        with self._lock:
            self._pairs.add(pair)
        with selectors.DefaultSelector() as selector, suppress(OSError):
            selector.register(down, selectors.EVENT_READ, up)
            selector.register(up, selectors.EVENT_READ, down)
            while self._pass_on(selector):
                self._open.wait()
        with self._lock:
            self._pairs.discard(pair)
        down.close()
        up.close()

    def _pass_on(self, selector: selectors.BaseSelector) -> bool:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            found = key.fileobj.recv(_CHUNK)
            if not found:
                return False
            self._open.wait()
            key.data.sendall(found)
        return True

    def _connected(self) -> socket.socket:
        if isinstance(self._upstream, tuple):
            return socket.create_connection(self._upstream, timeout=None)
        up = socket.socket(socket.AF_UNIX)
        try:
            up.connect(str(self._upstream))
        except OSError:
            up.close()
            raise
        return up
