"""Cases read and encoded in processes of their own, which give way to everything else.

A file that brings its reader down ends that process and is named; the next case is read by a new
one. Whoever asks gets the cases in the order that was asked for.
"""

import multiprocessing
import os
import queue
import resource
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Self

from app.core.errors import SfumatoError, VolumeInvalid
from app.formats.opening import Listing, Request
from app.formats.source import CaseEnded, CaseEvent, Handling, LocalSource

# Spawned, not forked: the server has threads, and a fork of those may hang.
_CONTEXT = multiprocessing.get_context("spawn")
# Lower priority than whoever serves annotators on the same machine.
_NICE = 10
# Bytes that a reader may hold: several times the largest volume that is read. Or a share of what
# the machine has: a file that grows without end costs its reader its memory, and nobody else.
_MOST_MEMORY, _MOST_SHARE = 16 * 2**30, 0.75


class ProcessSource:
    """Cases read by ``count`` processes, each at most one case ahead of whoever asks."""

    def __init__(self, request: Request, count: int) -> None:
        self._request = request
        self._count = count
        self._readers: list[_Reader] = []

    def __enter__(self) -> Self:
        self._readers = [_Reader(self._request)]
        return self

    def __exit__(self, *error: object) -> None:
        for reader in self._readers:
            reader.end()

    def listing(self) -> Listing:
        """What there is. Raises ``VolumeInvalid``, ``UnknownName``, ``CannotLoad``."""
        return self._readers[0].listing()

    def events(self, numbers: Sequence[int], handling: Handling) -> Iterator[tuple[int, CaseEvent]]:
        """These cases one after the other, each ended by a ``CaseEnded``."""
        more = min(self._count, len(numbers)) - len(self._readers)
        self._readers += [_Reader(self._request) for _ in range(more)]
        waiting, busy = deque(numbers), {}
        for reader in self._readers[: len(numbers)]:
            busy[waiting[0]] = reader
            reader.ask(waiting.popleft(), handling)
        for number in numbers:
            reader = busy.pop(number)
            for event in reader.answers():
                yield number, event
            if waiting:
                busy[waiting[0]] = reader
                reader.ask(waiting.popleft(), handling)


class _Reader:
    """One process, and the pipe to it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._start()

    def _start(self) -> None:
        self._ours, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, self._request), daemon=True)
        self._process.start()
        # Or the end of the process would not be seen.
        theirs.close()

    def listing(self) -> Listing:
        try:
            self._ours.send(None)
            answer = self._ours.recv()
        except (EOFError, OSError) as error:
            raise VolumeInvalid(f"the folder could not be listed: {self._why()}") from error
        if isinstance(answer, SfumatoError):
            raise answer
        listing: Listing = answer
        return listing

    def ask(self, number: int, handling: Handling) -> None:
        # Where it has died, that is seen when its answers are asked for.
        with suppress(OSError):
            self._ours.send((number, handling))

    def answers(self) -> Iterator[CaseEvent]:
        while True:
            try:
                event: CaseEvent = self._ours.recv()
            except (EOFError, OSError):
                why = self._why()
                self._start()
                yield CaseEnded(why)
                return
            yield event
            if isinstance(event, CaseEnded):
                return

    def _why(self) -> str:
        self._ours.close()
        self._process.join()
        return (
            f"the process that read it ended with code {self._process.exitcode}: the file may be "
            "damaged, or need more memory than there is"
        )

    def end(self) -> None:
        self._ours.close()
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, request: Request) -> None:
    """In the process: answer until the pipe is closed."""
    os.nice(_NICE)
    _bound_memory()
    # Ctrl-C reaches the whole group: whoever asked decides, and closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers: queue.SimpleQueue[object] = queue.SimpleQueue()
    # Encoding goes on while the other side keeps what it has got.
    threading.Thread(target=_send, args=(pipe, answers), daemon=True).start()
    source = LocalSource(request)
    while True:
        try:
            asked = pipe.recv()
        except (EOFError, OSError):
            return
        if asked is None:
            try:
                answers.put(source.listing())
            except SfumatoError as error:
                answers.put(type(error)(str(error)))
        else:
            number, handling = asked
            for _, event in source.events([number], handling):
                answers.put(event)


def _bound_memory() -> None:
    """Beyond the bound, reading fails with ``MemoryError``, which names the case."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = min(_MOST_MEMORY, int(_MOST_SHARE * machine))
    bounds = resource.getrlimit(resource.RLIMIT_DATA)
    # What somebody has bound lower stays so.
    given = [bound for bound in bounds if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(most, *given, most), bounds[1]))


def _send(pipe: Connection, answers: "queue.SimpleQueue[object]") -> None:
    try:
        while True:
            pipe.send(answers.get())
    except OSError:
        os._exit(0)  # nobody listens any more


def default_count() -> int:
    """As many as there are processors that this process may use, up to four: each holds a case."""
    usable = getattr(os, "sched_getaffinity", None)
    return min(len(usable(0)) if usable else os.cpu_count() or 1, 4)
