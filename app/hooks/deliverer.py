"""A server's thread that sends what webhooks are told; several servers share the work."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache

import httpx
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.core.liveness import Silence
from app.hooks.sending import Outcome, send
from app.loop import deliveries
from app.loop.deliveries import DeliveryClaim
from app.settings import Settings
from app.store import Database, database_now

_log = structlog.get_logger("sfumato.hooks")
_LOOK_SECONDS = 2.0
# Hooks that are served side by side: one that hangs keeps the others for one try at most.
_AT_ONCE = 20
# Much longer than a try and its notes can take.
_LOST_SECONDS = 60.0
_FORGET_SECONDS = 3600.0
_STOP_SECONDS = 0.2


class HookDeliverer:
    """Sends deliveries outside of requests and transactions; each is claimed by one server."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Callable[[Session], datetime] = database_now,
        lost_seconds: float = _LOST_SECONDS,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._silence: Silence[int, int] = Silence(lost_seconds)
        self._forgot = -_FORGET_SECONDS
        # Made by the first try, which notes what is wrong with certificates of the environment.
        self._tls = cache(httpx.create_ssl_context)
        # Looking up a name cannot be interrupted: no try waits for these threads.
        self._resolver = ThreadPoolExecutor(thread_name_prefix="names")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hooks")

    def start(self) -> None:
        """Begin, with what earlier servers left."""
        self._thread.start()

    def stop(self) -> None:
        """Put back what is under way, and end."""
        self._stop.set()
        self._thread.join()
        self._resolver.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self.deliver():
                    continue
                self._forget_old()
            except SQLAlchemyError as error:
                # Nobody could note a result meanwhile.
                self._silence.forget()
                _log.warning("hooks postponed", error=type(error).__name__)
            except Exception:  # such as no memory for a thread: the next turn may fare better
                _log.exception("hooks failed")
            self._stop.wait(_LOOK_SECONDS)

    def deliver(self) -> int:
        """Try what is due, the oldest of each hook; returns how many were tried."""
        with self._database.reading() as session:
            waiting = deliveries.due(session, self._clock(session), _AT_ONCE)
            lost = self._silence.silent(deliveries.being_sent(session))
        if not waiting and not lost:
            return 0
        with self._database.writing() as session:
            deliveries.take_back(session, lost, self._clock(session))
            claims = [deliveries.claim(session, which) for which in waiting]
        held = [claim for claim in claims if claim is not None]
        outcomes = asyncio.run(self._send(held)) if held else []
        with self._database.writing() as session:
            for claim, outcome in zip(held, outcomes, strict=True):
                if outcome is None:
                    deliveries.put_back(session, claim)
                    continue
                now = self._clock(session)
                deliveries.end(session, claim, now, outcome.status, outcome.error)
        return len(held)

    async def _send(self, held: Sequence[DeliveryClaim]) -> list[Outcome | None]:
        """How each try ended; None where this server ends first."""
        allowed = self._settings.allowed_networks
        tries = [
            asyncio.create_task(send(claim, allowed, self._tls, self._resolver)) for claim in held
        ]
        running = set(tries)
        while running and not self._stop.is_set():
            _, running = await asyncio.wait(running, timeout=_STOP_SECONDS)
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return [None if one.cancelled() else one.result() for one in tries]

    def _forget_old(self) -> None:
        now = time.monotonic()
        if now - self._forgot < _FORGET_SECONDS:
            return
        kept = timedelta(days=self._settings.hook_log_days)
        with self._database.reading() as session:
            old = deliveries.old_ones(session, self._clock(session) - kept)
        if not old:
            self._forgot = now
            return
        # Until there is nothing left of then: the next turn goes on.
        with self._database.writing() as session:
            deliveries.forget(session, old)
