"""What a server does with the transfers that it took on: one at a time, outside of requests."""

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.core.caller import Caller, calling, present
from app.core.errors import SfumatoError
from app.exporting import ExportOptions, ExportReport, stream_project
from app.importing import ImportOptions, ImportReport, ImportStopped, Progress, import_folder
from app.loop import transfers
from app.loop.chosen_masks import Selection
from app.loop.transfers import TransferClaim
from app.settings import Settings
from app.store import Database, JobState, TransferKind, database_now
from app.transfers.archives import ARCHIVE, unpack
from app.transfers.held import Held

_log = structlog.get_logger("sfumato.transfers")
_LOOK_SECONDS = 2.0
# What one that is under way gets to come to its next case when its server ends.
_GRACE_SECONDS = 3.0
_ENDS = "the server ends: it goes on when it is back"


class TransferRunner:
    """Runs what waits in this server's folder; ``wake`` is told of queues that have work."""

    def __init__(
        self, database: Database, settings: Settings, wake: Callable[[list[str]], None]
    ) -> None:
        self._database = database
        self._settings = settings
        self._wake = wake
        self._stop = threading.Event()
        self._look = threading.Event()
        self._running: dict[int, Held] = {}
        # A case may take minutes to read: the process does not wait for it.
        self._thread = threading.Thread(target=self._run, name="transfers", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier server left."""
        self._thread.start()

    def notify(self) -> None:
        """Something waits."""
        self._look.set()

    def leave(self) -> None:
        """Put back what is under way at its next case, and take no other."""
        self._stop.set()
        self._look.set()

    def stop(self) -> None:
        """Put back what is under way, and end; what does not come to its next case soon is put back
        for it, and what it still keeps then is there already when it goes on.
        """
        self.leave()
        self._thread.join(_GRACE_SECONDS)
        for running in list(self._running.values()):
            told = running.claim, JobState.QUEUED, None, _ENDS, running.progress
            # Once: where the database is away, another server finds it without a heartbeat.
            with suppress(SQLAlchemyError), self._database.writing() as session:
                transfers.end(session, *told)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if not self._next():
                    self._look.wait(_LOOK_SECONDS)
                    self._look.clear()
            except SQLAlchemyError as error:
                _log.warning("transfers postponed", error=type(error).__name__)
                self._stop.wait(_LOOK_SECONDS)

    def _next(self) -> bool:
        """Run one that waits; false where none does."""
        with self._database.reading() as session:
            waiting = transfers.waiting(session)
        for number, folder in waiting:
            held = self.claim(number) if folder and Path(folder).is_dir() else None
            if held is not None:
                # What is wrong is noted with the transfer, for whoever asked.
                with suppress(Exception):
                    self.perform(held)
                return True
        return False

    def claim(self, number: int) -> TransferClaim | None:
        """Take one; None where it was taken or cancelled."""
        with self._database.writing() as session:
            return transfers.claim(session, number, database_now(session))

    def perform(self, held: TransferClaim) -> ImportReport | None:
        """Run a claimed transfer and note how it ended; errors that are the asker's are raised.

        An import's report is returned; None where it was cancelled, or put back as this server
        ends.
        """
        with calling(Caller(held.by, present().address)):
            return self._perform(held)

    def _perform(self, held: TransferClaim) -> ImportReport | None:
        with Held(self._database, held, self._settings.heartbeat_seconds) as running:
            self._running[held.id] = running
            try:
                return self._run_held(running, Path(held.folder or ""))
            finally:
                self._running.pop(held.id, None)

    def _run_held(self, running: Held, folder: Path) -> ImportReport | None:
        held = running.claim

        def watch(progress: Progress) -> None:
            if self._stop.is_set():
                raise ImportStopped(_ENDS)
            running.watch(progress)

        try:
            if held.kind is TransferKind.EXPORT:
                self._ended(running, JobState.SUCCEEDED, self._export(held, folder, watch))
                return None
            report = self._import(held, folder, watch)
        except ImportStopped as stopped:
            again = self._stop.is_set()
            state = JobState.QUEUED if again else JobState.CANCELLED
            if self._ended(running, state, error=str(stopped)) and not again:
                forget(folder)
            return None
        except SfumatoError as error:
            self._failed(running, str(error), folder)
            raise
        except DBAPIError as error:
            # Its bytes stay: once the database is back, the sweep finds it without a heartbeat.
            _log.warning("transfer postponed", transfer=held.id, error=type(error).__name__)
            raise
        except Exception as error:
            self._failed(running, f"it failed: {type(error).__name__}", folder)
            _log.exception("transfer failed", transfer=held.id)
            raise
        if self._ended(running, JobState.SUCCEEDED, report.to_dict()):
            forget(folder)
        self._wake(sorted(report.retraining))
        return report

    def _failed(self, running: Held, error: str, folder: Path) -> None:
        """Note it; its bytes stay where it is not ours any more, for whoever goes on with it."""
        if self._ended(running, JobState.FAILED, error=error):
            forget(folder)

    def _import(
        self, held: TransferClaim, folder: Path, watch: Callable[[Progress], None]
    ) -> ImportReport:
        asked = dict(held.options)
        unpacked = unpack(folder, asked.pop("name", "upload"))
        asked["channels"] = tuple(asked.get("channels", ()))
        options = ImportOptions(
            **asked,
            check=held.kind is TransferKind.CHECK,
            processes=self._settings.import_processes,
        )
        report = import_folder(
            self._database, held.layout, unpacked.root, held.project, options, watch
        )
        unpacked.tell(report.left_out)
        return report

    def _export(
        self, held: TransferClaim, folder: Path, watch: Callable[[Progress], None]
    ) -> dict[str, Any]:
        asked = dict(held.options)
        licence, layout = asked.pop("licence", None), asked.pop("format", held.layout)
        options = ExportOptions(layout, Selection(**asked), licence=licence)
        reports: list[ExportReport] = []

        def on_case(done: int, total: int, case: str) -> None:
            watch(Progress(done, total, 0, case))

        parts = stream_project(self._database, held.project, options, on_case, reports.append)
        # Under another name until it is whole.
        with (folder / "archive.part").open("wb") as file:
            file.writelines(parts)
        (folder / "archive.part").rename(folder / ARCHIVE)
        return asdict(reports[0])

    def _ended(
        self,
        running: Held,
        state: JobState,
        report: dict[str, Any] | None = None,
        error: str | None = None,
    ) -> bool:
        """Note how it ended, if it is ours still; a database that is away is waited for."""
        for wait in (0.2, 1.0, 5.0, 20.0, 0.0):
            try:
                with self._database.writing() as session:
                    told = running.claim, state, report, error, running.progress
                    return transfers.end(session, *told)
            except SQLAlchemyError:
                if not wait:
                    raise
                time.sleep(wait)
        return False


def forget(folder: Path) -> None:
    """Remove a folder of a transfer's; what cannot be removed stays for the next time."""
    shutil.rmtree(folder, ignore_errors=True)
