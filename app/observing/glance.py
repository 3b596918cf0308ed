"""A reading that many share: taken every few seconds at most, and waited for only so long."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

_log = structlog.get_logger("sfumato.observing")
T = TypeVar("T")


class _Look(Generic[T]):
    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: T | None = None
        self.taken_at = 0.0


class Glance(Generic[T]):
    """Keeps what was read last. However many ask, one thread reads; one that hangs stays alone."""

    def __init__(
        self,
        read: Callable[[], T],
        seconds: float,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``seconds``: how long a reading is good for; ``patience``: the longest wait for one."""
        self._read = read
        self._seconds = seconds
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._last: _Look[T] | None = None

    def look(self) -> T | None:
        """What was read; None where it could not be, or where that takes too long."""
        with self._lock:
            last = self._last
            if last is None or (last.done.is_set() and self._old(last)):
                last = self._last = _Look()
                # It must not keep a process alive that wants to end.
                threading.Thread(
                    target=self._take, args=(last,), name="glance", daemon=True
                ).start()
        last.done.wait(self._patience)
        return last.value

    def _old(self, look: _Look[T]) -> bool:
        return self._clock() - look.taken_at >= self._seconds

    def _take(self, look: _Look[T]) -> None:
        try:
            look.value = self._read()
        except Exception as error:  # whatever it is: who watches is told that nothing was read
            _log.warning("the installation could not be looked at", error=str(error))
        look.taken_at = self._clock()
        look.done.set()
