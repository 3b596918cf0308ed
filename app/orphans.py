"""A child process that ends when whoever started it is gone, even by SIGKILL."""

import os
import signal
import threading
from collections.abc import Callable


def end_with_parent(parent: int, on_orphaned: Callable[[], None] = lambda: None) -> None:
    """Watch the process that started us; when it is gone, end this one too."""

    def watch() -> None:
        gone = threading.Event()
        while not gone.wait(1):
            if os.getppid() != parent:
                on_orphaned()
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
