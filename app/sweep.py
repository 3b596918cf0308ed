"""The sweep as a background thread, in every server and every worker."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.core.liveness import Silence
from app.dispatch import Dispatcher
from app.loop import checkpoints, claims
from app.loop.audit_chain import seal, unsealed
from app.settings import Settings
from app.store import Database, utc_now

_log = structlog.get_logger("sfumato.sweep")


Watch = Silence[tuple[int, int], datetime | None]


def sweep_once(
    database: Database, dispatcher: Dispatcher, settings: Settings, watch: Watch
) -> None:
    """Take back what dead workers held, and wake workers for what waits."""
    with database.reading() as session:
        silent = watch.silent(claims.beats(session))
    with database.writing() as session:
        queues = claims.sweep(
            session,
            utc_now(),
            silent,
            resend=timedelta(seconds=settings.resend_seconds),
            max_attempts=settings.max_attempts,
            retries=settings.tries_again,
        )
    dispatcher.wake(queues)
    _clear(database)


def _clear(database: Database) -> None:
    """Delete checkpoints that no training needs: each transaction a little, so that none waits."""
    with database.reading() as session:
        left = checkpoints.any_left_over(session)
    while left:
        with database.writing() as session:
            left = checkpoints.sweep(session)


def seal_events(database: Database) -> None:
    """Append what the audit trail got meanwhile to its chain."""
    with database.reading() as session:
        if not unsealed(session):
            return
    more = True
    while more:
        with database.writing() as session:
            more = seal(session) > 0


def sweep_until(
    stop: threading.Event,
    database: Database,
    dispatcher: Dispatcher,
    settings: Settings,
    also: Callable[[], None] = lambda: None,
) -> None:
    """Sweep every few seconds until told to stop; a database that is away is tried again.

    ``also`` is done at each turn: a worker shows that it is there.
    """
    watch: Watch = Silence(settings.stale_seconds)
    while not stop.wait(settings.sweep_seconds):
        try:
            sweep_once(database, dispatcher, settings, watch)
            also()
        except SQLAlchemyError as error:
            # Nobody could show life meanwhile: an outage that a worker lived through is no death.
            watch.forget()
            _log.warning("sweep postponed", error=str(error))
