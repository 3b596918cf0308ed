"""Going on through outages: what a database could not do now, it may do in a moment."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from app.core.errors import SfumatoError

# Away, locked, cut off: such errors say nothing of what was asked.
TRANSIENT = (OperationalError, InterfaceError)
_LONGEST_SECONDS, _FIRST_WAIT, _LONGEST_WAIT = 600.0, 0.2, 10.0
# What a minute's work was done for before it failed was no single outage; but not for ever.
_WENT_WELL, _MOST_TRIES = 60.0, 100

T = TypeVar("T")


class OutageTooLong(SfumatoError):
    """The database was away for longer than it is waited for."""


_log = structlog.get_logger("sfumato.worker")


def persistently(
    action: Callable[[], T],
    check: Callable[[], None] = lambda: None,
    seconds: float = _LONGEST_SECONDS,
) -> T:
    """Do something with the database, again and again while that is away, for minutes.

    ``action`` must be whole or nothing. ``check`` is called before each further try and may raise
    to stop. Raises what else the action raises, and ``OutageTooLong`` when an outage has lasted
    ``seconds``; what had gone well for a minute before it failed has met another outage.
    """
    tries, wait, since = 0, _FIRST_WAIT, time.monotonic()
    while True:
        begun = time.monotonic()
        try:
            return action()
        except TRANSIENT as error:
            now = time.monotonic()
            if tries == 0 or now - begun > _WENT_WELL:
                wait, since = _FIRST_WAIT, now
            tries += 1
            if now - since + wait > seconds or tries > _MOST_TRIES:
                # Not the error itself: whoever waits around us would begin all of it again.
                raise OutageTooLong(
                    f"the database was away for {now - since:.0f} s: {error.orig}"
                ) from error
            _log.warning("database away, trying again", error=str(error.orig), seconds=wait)
        time.sleep(wait)
        check()
        wait = min(2 * wait, _LONGEST_WAIT)
