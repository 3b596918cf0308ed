"""The sweep as a background thread, in every server and every worker."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.core.liveness import Silence
from app.dispatch import Dispatcher
from app.loop import checkpoints, claims
from app.loop.audit_chain import seal, unsealed, wrong_end
from app.settings import Settings
from app.store import Database, database_now

_log = structlog.get_logger("sfumato.sweep")
_LONGEST_REST = 0.2

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
            database_now(session),
            silent,
            resend=timedelta(seconds=settings.resend_seconds),
            max_attempts=settings.max_attempts,
            retries=settings.tries_again,
        )
    dispatcher.wake(queues)
    _clear(database)


def _clear(database: Database) -> None:
    """Delete checkpoints that no training needs: each transaction a little, so that none waits."""
    _in_pieces(database, checkpoints.any_left_over, checkpoints.sweep)


def seal_events(database: Database) -> None:
    """Append what the audit trail got meanwhile to its chain, unless that was cut."""
    with database.reading() as session:
        wrong = wrong_end(session)
    if wrong is not None:
        _tell_once(wrong)
        return
    _in_pieces(database, unsealed, lambda session: seal(session) > 0)


@cache
def _tell_once(wrong: str) -> None:
    _log.error("the audit trail is not sealed any more: see sfumato doctor", why=wrong)


def _in_pieces(
    database: Database, left: Callable[[Session], bool], piece: Callable[[Session], bool]
) -> None:
    """Repeat a short transaction until nothing is left; others get as long between two of them."""
    with database.reading() as session:
        more = left(session)
    while more:
        began = time.monotonic()
        with database.writing() as session:
            more = piece(session)
        if more:
            time.sleep(min(time.monotonic() - began, _LONGEST_REST))


def sweep_until(
    stop: threading.Event,
    database: Database,
    dispatcher: Dispatcher,
    settings: Settings,
    also: Callable[[], None] = lambda: None,
) -> None:
    """Sweep every few seconds until told to stop; whatever goes wrong, it is tried again.

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
        except Exception:  # a thread that ended here would leave jobs of the dead for ever
            _log.exception("sweep failed")
