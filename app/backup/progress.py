"""How far a backup, a restoring or a check is."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
# Told what is being done (a table's name, blobs …) and how many of them are done.
Watch = Callable[[str, int], None]


def unwatched(what: str, done: int) -> None:
    """Nobody wants to know."""


def counted(items: Iterable[T], what: str, watch: Watch) -> Iterator[T]:
    """The same items; ``watch`` is told after each how many they were."""
    watch(what, 0)
    for done, item in enumerate(items, 1):
        yield item
        watch(what, done)
