"""Seconds by what they were spent on."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")


class Clock:
    """Adds up seconds by part; a part within another stops the outer one's time meanwhile.

    For the record alone: nothing may be decided by it.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._parts: list[str] = []
        self._since = 0.0

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by part, to the millisecond."""
        return {part: round(seconds, 3) for part, seconds in self._seconds.items()}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What runs inside is this part."""
        self._charge()
        self._parts.append(name)
        try:
            yield
        finally:
            self._charge()
            self._parts.pop()

    def each(self, name: str, items: Iterable[_Item]) -> Iterator[_Item]:
        """The items; the time that each took to come is this part."""
        remaining = iter(items)
        while True:
            with self.part(name):
                try:
                    item = next(remaining)
                except StopIteration:
                    return
            yield item

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._parts:
            part = self._parts[-1]
            self._seconds[part] = self._seconds.get(part, 0.0) + now - self._since
        self._since = now
