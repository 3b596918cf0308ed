"""Annotators over HTTP who never give up: a mask that is drawn is sent until it is kept."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np

from app.core.pixels import decode, encode
from chaos.journal import Drawn, Journal

_TOGETHER = 3
_SKIPS = 0.05
# Shorter than some stops of a server: the request is repeated elsewhere, and may be met twice.
_PATIENCE = httpx.Timeout(5.0, connect=2.0)
_AGAIN = (429, 503)


class Annotator(threading.Thread):
    """Asks, looks, draws, sends, until told to stop; then gives back what it still holds."""

    def __init__(
        self,
        name: str,
        token: str,
        servers: Sequence[str],
        pictures: Mapping[int, str],
        journal: Journal,
        seed: int,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self.error: Exception | None = None
        self._servers = list(servers)
        self._turn = seed % len(servers)
        self._pictures = pictures
        self._journal = journal
        self._rng = np.random.default_rng(seed)
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}"}, timeout=_PATIENCE, trust_env=False
        )

    def run(self) -> None:
        """Work; what an annotator could not get over is kept for the verdict."""
        try:
            while not self.stopping.is_set():
                self._batch()
        except Exception as error:  # the verdict tells it
            self.error = error

    def _batch(self) -> None:
        reply = self._ask("GET", "/query/next", params={"size": _TOGETHER})
        if reply.status_code != 200 or not (items := reply.json()["items"]):
            self.stopping.wait(0.3)
            return
        for item in items:
            self._journal.handed(self.name, item["slice"], item["lease"]["id"])
        for item in items:
            self._one(item["slice"], item["lease"]["id"], item["image"])

    def _one(self, slice_id: int, lease: int, image: str) -> None:
        picture = self._ask("GET", image)
        if picture.status_code != 200:
            return
        if hashlib.sha256(picture.content).hexdigest() != self._pictures[slice_id]:
            self._journal.is_not(f"the picture of slice {slice_id}")
        if self._rng.random() < _SKIPS:
            self._journal.gives_away(lease)
            self._ask("DELETE", f"/leases/{lease}", params={"reason": "cannot be judged"})
            return
        body = self._draw(picture.content)
        self._journal.draws()
        self._journal.gives_away(lease)
        while (kept := self._ask("POST", f"/slices/{slice_id}/masks", content=body)).is_error:
            self.stopping.wait(0.3)
        sha256 = hashlib.sha256(body).hexdigest()
        self._journal.keeps(Drawn(self.name, slice_id, sha256, kept.json()["id"]))

    def _draw(self, picture: bytes) -> bytes:
        """What is bright, and a few pixels that make the mask unlike any other."""
        pixels = decode(picture)
        mask = (pixels > pixels.max() * 0.6).astype(np.uint8)
        rows, columns = (self._rng.integers(0, side, 8) for side in mask.shape)
        mask[rows, columns] ^= 1
        return encode(mask)

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """The answer of whichever server gives one."""
        while True:
            try:
                url = self._servers[self._turn] + path
                reply = self._client.request(method, url, **arguments)
            except httpx.TransportError:
                self._journal.no_reply()
            else:
                text = reply.text if reply.is_error else ""
                self._journal.reply(f"{method} {path}", reply.status_code, text)
                if reply.status_code not in _AGAIN:
                    return reply
            self._turn = (self._turn + 1) % len(self._servers)
            threading.Event().wait(0.2)
