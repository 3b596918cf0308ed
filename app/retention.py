"""Removing what was kept for long enough: some at a time, by one server, or by a command."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.loop import retention
from app.loop.retention import Keep, Kind
from app.settings import Settings
from app.store import Database, database_now

_log = structlog.get_logger("sfumato.retention")
_EVERY = timedelta(hours=1)
_LOOK_SECONDS = 60.0


def keep_of(settings: Settings) -> Keep:
    """How long each kind is kept, of those that do not stay for ever."""
    days = {
        Kind.MAPS: settings.keep_maps_days,
        Kind.SCORES: settings.keep_scores_days,
        Kind.SUGGESTIONS: settings.keep_suggestions_days,
        Kind.WEIGHTS: settings.keep_weights_days,
        Kind.REPORTS: settings.keep_reports_days,
    }
    return {kind: timedelta(days=kept) for kind, kept in days.items() if kept is not None}


def sweep(database: Database, settings: Settings, stop: threading.Event) -> None:
    """Remove what is due, if it is this server's turn. It ends between two pieces when told to."""
    keep = keep_of(settings)
    if not keep:
        return
    with database.writing() as session:
        now = database_now(session)
        if not retention.take_on(session, now, _EVERY):
            return
    gone = carry_out(database, keep, now, stop.is_set)
    if gone:
        _log.info("kept long enough", **gone)


def until(stop: threading.Event, database: Database, settings: Settings) -> None:
    """Look every minute whether it is this server's turn, until told to stop."""
    while not stop.wait(_LOOK_SECONDS):
        try:
            sweep(database, settings, stop)
        except SQLAlchemyError as error:
            _log.warning("retention postponed", error=type(error).__name__)
        except Exception:  # a thread that ended here would never remove anything again
            _log.exception("retention failed")


def carry_out(
    database: Database, keep: Keep, now: datetime, stop: Callable[[], bool] = lambda: False
) -> Counter[str]:
    """Remove what is due; returns how many rows of each kind. Whatever stops it, it goes on with
    the next.
    """
    gone: Counter[str] = Counter()
    with database.reading() as session:
        found = retention.due(session, keep, now)
    for one in found:
        for step in retention.steps(one, now - keep[one.kind], now):
            more = True
            while more:
                if stop():
                    return gone
                with database.writing() as session:
                    more = step(session)
        gone[one.kind.value] += one.rows
    if gone:
        database.forget_log()
    return gone
