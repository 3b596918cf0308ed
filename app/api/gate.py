"""A queue for requests that write, so that they wait in order and without a thread."""

import asyncio
from weakref import WeakKeyDictionary


class WriterGate:
    """Lets some requests of this process write at once, the others in the order they came.

    SQLite has one writer at a time, and whoever finds it busy sleeps and tries again: under
    load some would be unlucky for seconds, each holding a thread. Here they stand in line.
    """

    def __init__(self, writers: int) -> None:
        self._writers = writers
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    def turn(self) -> asyncio.Semaphore:
        """The gate of the running event loop, to be entered with ``async with``."""
        loop = asyncio.get_running_loop()
        return self._gates.setdefault(loop, asyncio.Semaphore(self._writers))
