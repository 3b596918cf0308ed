"""Holding a transfer while it runs: a heartbeat that says how far it is, and hears of its end."""

import threading
from dataclasses import asdict
from typing import Any, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.importing.options import ImportStopped, Progress
from app.loop import transfers
from app.loop.transfers import TransferClaim, TransferLost
from app.store import Database, database_now

_CANCELLED_SECONDS = 1.0
_log = structlog.get_logger("sfumato.transfers")


class Held:
    """A claimed transfer, while it runs; use with ``with``.

    The heartbeat is a thread of its own: one case may take minutes to read.
    """

    def __init__(self, database: Database, claim: TransferClaim, seconds: float) -> None:
        self.claim = claim
        self._database = database
        # Whoever cancels does not want to wait for a heartbeat.
        self._seconds = min(seconds, _CANCELLED_SECONDS)
        self._progress: dict[str, Any] = {}
        self._over = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="transfer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def progress(self) -> dict[str, Any]:
        """How far it is."""
        return self._progress

    @property
    def stopped(self) -> bool:
        """Whether it was cancelled, or taken by another."""
        return self._lost.is_set()

    def watch(self, progress: Progress) -> None:
        """Note how far it is. Raises ``ImportStopped`` once it was cancelled or lost."""
        self._progress = asdict(progress)
        if self._lost.is_set():
            raise ImportStopped("it was cancelled: what was done by then stays")

    def _beat(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                with self._database.writing() as session:
                    transfers.beat(session, self.claim, self._progress, database_now(session))
            except TransferLost:
                self._lost.set()
                return
            except SQLAlchemyError as error:
                _log.warning("heartbeat postponed", error=type(error).__name__)
