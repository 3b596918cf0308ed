"""An import or export of the command line, noted for the dashboard while it runs and after."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.core.errors import SfumatoError
from app.importing.options import ImportStopped
from app.loop import transfers
from app.store import Database, JobState, TransferKind, database_now
from app.transfers.held import Held

_BEAT_SECONDS = 2.0


class Record(Held):
    """A transfer that the command line runs; ``report`` is kept at its end."""

    report: dict[str, Any] | None = None


@contextmanager
def recorded(
    database: Database,
    kind: TransferKind,
    project: str,
    layout: str,
    options: dict[str, Any],
    discreet: bool = False,
) -> Iterator[Record]:
    """Note a transfer, beat for it, and note how it ended.

    ``discreet``: what goes wrong is not kept in words, as these may hold names of files.
    """
    with database.writing() as session:
        asked = transfers.ask(session, kind, project, layout, options, None)
        held = transfers.claim(session, asked.id, database_now(session))
    if held is None:
        raise RuntimeError("a transfer of our own could not be claimed")
    state, error = JobState.FAILED, "it was interrupted: give it again, and it goes on"
    try:
        with Record(database, held, _BEAT_SECONDS) as record:
            try:
                yield record
                state, error = JobState.SUCCEEDED, ""
            except ImportStopped as stopped:
                state, error = JobState.CANCELLED, str(stopped)
                raise
            except SfumatoError as wrong:
                error = "its reason stands on the terminal alone" if discreet else str(wrong)
                raise
    finally:
        with database.writing() as session:
            transfers.end(session, held, state, record.report, error or None, record.progress)
