"""Queues for requests that write, decode or send: they wait in order and without a thread."""

import asyncio
from weakref import WeakKeyDictionary, WeakValueDictionary


class Gate:
    """Lets some requests of this process through at once, the others in the order they came.

    SQLite has one writer at a time, and whoever finds it busy sleeps and tries again: under
    load some would be unlucky for seconds, each holding a thread. Here they stand in line.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    def turn(self) -> asyncio.Semaphore:
        """The gate of the running event loop, to be entered with ``async with``."""
        loop = asyncio.get_running_loop()
        return self._gates.setdefault(loop, asyncio.Semaphore(self._at_once))


class GateEach:
    """A gate for each account: whoever asks much waits for themselves, not others for them."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        # A gate that nobody is in or waits for is forgotten.
        self._gates: WeakKeyDictionary[
            asyncio.AbstractEventLoop, WeakValueDictionary[int, asyncio.Semaphore]
        ] = WeakKeyDictionary()

    def turn(self, account_id: int) -> asyncio.Semaphore:
        """An account's gate, to be entered with ``async with``."""
        gates = self._gates.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        return gates.setdefault(account_id, asyncio.Semaphore(self._at_once))
