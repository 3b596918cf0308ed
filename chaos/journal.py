"""What the annotators saw, written down by themselves: the only witness of the verdict."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Hold:
    """A slice in an annotator's hands, by the monotonic clock of the witness.

    From the reply that brought it until the first request that gave it away: the service may have
    ended it at any time after that.
    """

    annotator: str
    slice: int
    since: float
    until: float | None = None


@dataclass(frozen=True)
class Drawn:
    """A mask, and the number under which the service said that it is kept."""

    annotator: str
    slice: int
    sha256: str
    mask: int


@dataclass
class Journal:
    """Of all annotators together."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost_replies: int = 0
    # What must never come: (request, status, text).
    refused: list[tuple[str, int, str]] = field(default_factory=list)
    holds: dict[int, Hold] = field(default_factory=dict)
    kept: list[Drawn] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    begun: int = 0
    answered: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, request: str, status: int, text: str) -> None:
        """An answer came; which ones an annotator can do without, and which must not be."""
        with self._lock:
            self.statuses[status] += 1
            # 503 and 429 say "again, later". 410: a lease ran out, its mask is kept all the same.
            if status >= 400 and status not in (410, 429, 503):
                self.refused.append((request, status, text[:300]))
            if status < 400:
                self.answered.append(time.monotonic())

    def no_reply(self) -> None:
        """The connection ended, or nobody answered in time."""
        with self._lock:
            self.lost_replies += 1

    def handed(self, annotator: str, slice_id: int, lease: int) -> None:
        """A lease came, for the first time or again."""
        with self._lock:
            self.holds.setdefault(lease, Hold(annotator, slice_id, time.monotonic()))

    def gives_away(self, lease: int) -> None:
        """What ends a lease is about to be sent."""
        with self._lock:
            hold = self.holds[lease]
            if hold.until is None:
                hold.until = time.monotonic()

    def draws(self) -> None:
        """A mask was drawn: from here on it must not be lost."""
        with self._lock:
            self.begun += 1

    def keeps(self, drawn: Drawn) -> None:
        """The service said that a mask is kept."""
        with self._lock:
            self.kept.append(drawn)

    def is_not(self, what: str) -> None:
        """Something came that is not what was put in."""
        with self._lock:
            self.unlike.append(what)

    def first_answer_since(self, moment: float) -> float | None:
        """When an annotator was first answered after a moment."""
        with self._lock:
            return next((at for at in self.answered if at >= moment), None)

    def held_twice(self) -> list[tuple[Hold, Hold]]:
        """Pairs of holds of one slice by two annotators at the same time."""
        by_slice: dict[int, list[Hold]] = {}
        for hold in sorted(self.holds.values(), key=lambda one: one.since):
            by_slice.setdefault(hold.slice, []).append(hold)
        return [
            (one, other)
            for holds in by_slice.values()
            for place, one in enumerate(holds)
            for other in holds[place + 1 :]
            if other.annotator != one.annotator and (one.until is None or other.since < one.until)
        ]
