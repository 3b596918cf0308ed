"""A server's thread that draws the maps which somebody looks at, each in a process of its own."""

import multiprocessing
import os
import queue
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

import numpy as np
import numpy.typing as npt
import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.core.pool_map import spread
from app.loop.pool_maps import ToSpread, begin_map, give_map_up, keep_map, to_spread
from app.store import Database, database_now

_log = structlog.get_logger("sfumato.maps")
# Spawned, not forked: the server has threads, and a fork of those may hang.
_CONTEXT = multiprocessing.get_context("spawn")
# Lower priority than whoever serves annotators on the same machine.
_NICE = 10
_LOOK_SECONDS = 0.2


class MapDrawer:
    """Draws maps one after the other, outside of requests and outside of any transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._waiting: set[int] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def ask(self, round_id: int) -> None:
        """Have a round's map drawn, unless that is under way here or on another server."""
        with self._lock:
            if round_id in self._waiting or self._stop.is_set():
                return
            self._waiting.add(round_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="maps", daemon=True)
                self._thread.start()
        self._wanted.put(round_id)

    def stop(self) -> None:
        """End; what is under way is given up."""
        self._stop.set()
        self._wanted.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (round_id := self._wanted.get()) is not None and not self._stop.is_set():
            try:
                self._draw(round_id)
            except SQLAlchemyError as error:
                # Whoever looks asks again.
                _log.warning("map postponed", round=round_id, error=type(error).__name__)
            except Exception as error:  # such as no memory for a process: the next may fare better
                _log.exception("map failed", round=round_id)
                with suppress(SQLAlchemyError), self._database.writing() as session:
                    give_map_up(session, round_id, f"it could not be drawn: {error}")
            finally:
                with self._lock:
                    self._waiting.discard(round_id)

    def _draw(self, round_id: int) -> None:
        with self._database.writing() as session:
            if not begin_map(session, round_id, database_now(session)):
                return
        with self._database.reading() as session:
            wanted = to_spread(session, round_id)
        places = None if wanted is None else self._spread(wanted)
        with self._database.writing() as session:
            if wanted is not None and places is not None:
                ids = zip(wanted.ids, places.tolist(), strict=True)
                keep_map(session, round_id, {one: (x, y) for one, (x, y) in ids})
            elif self._stop.is_set() or wanted is None:
                give_map_up(session, round_id, None)
            else:
                _log.warning("map failed", round=round_id)
                give_map_up(session, round_id, "the process that drew it ended early")

    def _spread(self, wanted: ToSpread) -> npt.NDArray[np.float32] | None:
        """In a process; None where it failed, or this server ends."""
        ours, theirs = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(
            target=_serve, args=(theirs, wanted.features, wanted.seed), daemon=True
        )
        process.start()
        # Or the end of the process would not be seen.
        theirs.close()
        try:
            while not ours.poll(_LOOK_SECONDS):
                if self._stop.is_set():
                    return None
            found: npt.NDArray[np.float32] = ours.recv()
            return found
        except EOFError:
            return None
        finally:
            ours.close()
            process.terminate()
            process.join()


def _serve(pipe: Connection, features: npt.NDArray[np.float32], seed: int) -> None:
    """In the process."""
    os.nice(_NICE)
    # Ctrl-C reaches the whole group: the server decides, and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(spread(features, seed))
