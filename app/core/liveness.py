"""Who has fallen silent: told by heartbeats that do not change, never by anybody's clock."""

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Silence(Generic[K, V]):
    """Watches heartbeats, and counts for how long each has been the same.

    Only the watcher's own monotonic clock counts. Clocks of workers may be wrong by minutes; and
    a database that was away kept everybody from showing life, so that ``forget`` begins anew.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._since: dict[K, tuple[V, float]] = {}

    def silent(self, beats: Mapping[K, V]) -> dict[K, V]:
        """Those of the present heartbeats that have not changed for long enough."""
        now = self._clock()
        before = self._since
        self._since = {
            key: known
            if (known := before.get(key)) is not None and known[0] == beat
            else (beat, now)
            for key, beat in beats.items()
        }
        return {
            key: beat for key, (beat, since) in self._since.items() if now - since >= self._seconds
        }

    def forget(self) -> None:
        """Begin anew: for a while nobody could have been heard."""
        self._since = {}
