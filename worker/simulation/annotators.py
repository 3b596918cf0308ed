"""Simulated annotators: clients of the HTTP service, each with a token of its own."""

import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from app.core.effort import Effort
from app.core.outlines import outline, outline_to_change
from app.core.pixels import decode
from worker.simulation.oracle import Oracle

_POLL_SECONDS = 0.3
_BATCH = 5
# Answers after which a request can be repeated: nothing was stored.
_RETRY = {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class Behaviour:
    """How an annotator works: mean seconds a mask, and how often it skips or errs.

    ``effort``: its seconds by what there is to draw, noted on its masks without being waited for.
    """

    seconds: float = 0.0
    skip_rate: float = 0.0
    error_rate: float = 0.0
    effort: Effort | None = None


class Budget:
    """Labels that all annotators together may still give; None is no limit."""

    def __init__(self, labels: int | None) -> None:
        self._left = labels
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more label may be given; counts it."""
        with self._lock:
            if self._left is None:
                return True
            self._left -= 1
            return self._left >= 0

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self._left is not None and self._left <= 0


class Annotator(threading.Thread):
    """Fetches, draws and submits until told to stop or until ``last_round`` is done."""

    def __init__(
        self,
        name: str,
        client: httpx.Client,
        project: str,
        oracle: Oracle,
        behaviour: Behaviour,
        budget: Budget,
        last_round: int,
        seed: int,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self.error: Exception | None = None
        # What the service says while there is nothing to draw, and since when.
        self.waits: tuple[str, float] | None = None
        self._client = client
        self._project = project
        self._oracle = oracle
        self._behaviour = behaviour
        self._budget = budget
        self._last_round = last_round
        self._rng = np.random.default_rng(seed)
        self._held: list[int] = []

    def run(self) -> None:
        """Work; an error ends the thread and is kept for whoever started it."""
        try:
            while not self.stopping.is_set() and self._work():
                pass
            # Going home: what is not drawn goes back at once, not after half an hour.
            for lease in self._held:
                self._request("DELETE", f"/leases/{lease}")
        except Exception as error:  # handed to the thread that waits for us
            self.error = error

    def _work(self) -> bool:
        """One batch; returns whether to go on."""
        query = {"project": self._project, "size": _BATCH}
        batch = self._request("GET", "/query/next", params=query).json()
        self._held = [item["lease"]["id"] for item in batch["items"]]
        if batch["round"] is None or batch["round"] > self._last_round:
            return False
        if batch["items"]:
            self.waits = None
        else:
            self.waits = batch["message"], self.waits[1] if self.waits else time.monotonic()
            self.stopping.wait(_POLL_SECONDS)
        return all(self._annotate(item) for item in batch["items"])

    def _annotate(self, item: dict[str, Any]) -> bool:
        if self.stopping.is_set() or self._budget.spent:
            return False
        rng, behaviour = self._rng, self._behaviour
        self._request("GET", item["image"])
        if rng.random() < behaviour.skip_rate:
            reason = {"reason": "simulated: cannot be judged"}
            self._request("DELETE", f"/leases/{item['lease']['id']}", params=reason)
            self._held.remove(item["lease"]["id"])
            return True
        seconds = float(rng.gamma(4.0, behaviour.seconds / 4)) if behaviour.seconds else 0.0
        self.stopping.wait(seconds)
        if not self._budget.take():
            return False
        if rng.random() < behaviour.error_rate:
            mask = self._oracle.wrong_answer(item["slice"], rng)
        else:
            mask = self._oracle.answer(item["slice"])
        if behaviour.effort is not None:
            seconds = self._would_take(behaviour.effort, item, mask)
        path = f"/slices/{item['slice']}/masks"
        details = {"source": "oracle", "seconds": round(seconds, 3)}
        self._request("POST", path, params=details, content=mask)
        self._held.remove(item["lease"]["id"])
        return True

    def _would_take(self, effort: Effort, item: dict[str, Any], mask: bytes) -> float:
        """Seconds that somebody would draw this mask in, from the suggestion if that is less."""
        wanted = decode(mask)
        if item["suggestion"] is None:
            return effort.seconds(outline(wanted))
        suggested = decode(self._request("GET", item["suggestion"]).content)
        to_change = outline_to_change(suggested, wanted)
        return effort.seconds(outline(wanted), bool(suggested.any()), to_change)

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return request(self._client, method, path, **arguments)


def request(client: httpx.Client, method: str, path: str, **arguments: Any) -> httpx.Response:
    """A request, repeated for half a minute while the service is away or busy."""
    deadline = time.monotonic() + 30
    while True:
        try:
            response = client.request(method, path, **arguments)
            if response.status_code not in _RETRY or time.monotonic() > deadline:
                return response.raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)
