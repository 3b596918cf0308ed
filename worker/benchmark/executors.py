"""Who does the work: processes of this machine, or Celery workers of any."""

import fcntl
import multiprocessing
import os
import signal
import time
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import torch
from redis.exceptions import RedisError

from app.core.errors import InvalidInput, SfumatoError
from app.dispatch import BENCHMARK_QUEUE, BENCHMARK_TASK, celery_app
from app.orphans import end_with_parent
from worker.benchmark.plan import Task
from worker.benchmark.tasks import work
from worker.segmentation.machine import fix_threads


class Executor(Protocol):
    """Takes tasks and says which are over, done or failed."""

    def send(self, task: Task) -> None:
        """Hand a task over."""

    def over(self) -> set[Task]:
        """The tasks that nobody works on any more, each told once."""

    def close(self) -> None:
        """Wait for those that stop, and end."""


class LocalExecutor:
    """Processes of this machine, each with its own threads and, if there are any, its own GPU."""

    def __init__(self, folder: Path, processes: int, threads: int, device: str) -> None:
        self._folder = folder
        self._device = device
        context = multiprocessing.get_context("spawn")
        counter = context.Value("i", 0)
        self._pool = ProcessPoolExecutor(
            processes, context, initializer=_begin, initargs=(threads, counter, os.getpid())
        )
        self._running: dict[Future[None], Task] = {}

    def send(self, task: Task) -> None:
        """Hand a task over."""
        future = self._pool.submit(_work_here, self._folder, task.strategy, task.seed, self._device)
        self._running[future] = task

    def over(self) -> set[Task]:
        """The tasks that ended; a process that died is an error of its own."""
        ended = {future: task for future, task in self._running.items() if future.done()}
        for future in ended:
            del self._running[future]
            _raise_death(future)
        return set(ended.values())

    def close(self) -> None:
        """Wait until each process has seen that it must stop."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _raise_death(future: Future[None]) -> None:
    """What went wrong in a run stands in its folder: here only a process that died shows."""
    if future.cancelled():
        return
    try:
        future.result()
    except BrokenProcessPool as error:
        raise SfumatoError(
            "a process of the benchmark died, perhaps because memory ran out. Finished rounds are "
            "kept: run the same command again, with fewer --processes"
        ) from error


_number = 0


def _begin(
    threads: int, counter: "multiprocessing.sharedctypes.Synchronized[int]", parent: int
) -> None:
    global _number
    # Ctrl-C reaches the whole group: the parent decides, and tells by the stop file.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # And when it is killed, nobody would: a pool's processes wait for ever.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent(parent)
    fix_threads(threads)
    with counter.get_lock():
        _number = counter.value
        counter.value += 1


def _work_here(folder: Path, strategy: str | None, seed: int, device: str) -> None:
    if device == "auto" and torch.cuda.is_available():
        device = f"cuda:{_number % torch.cuda.device_count()}"
    work(folder, strategy, seed, device)


class CeleryExecutor:
    """Workers that listen on the benchmark queue: `sfumato worker --queues benchmark`.

    They must see the benchmark's folder and the data under the same paths. A task is over when
    its files say so; one whose worker died is sent again.
    """

    def __init__(
        self, folder: Path, broker_url: str, device: str, seconds_to_silence: float = 120
    ) -> None:
        self._folder = folder
        self._device = device
        self._celery = celery_app(broker_url)
        self._silence = seconds_to_silence
        self._sent: dict[Task, float] = {}

    def send(self, task: Task) -> None:
        """Hand a task to the broker."""
        note = note_of(self._folder, task.strategy, task.seed)
        note.parent.mkdir(exist_ok=True)
        note.write_text("sent")
        try:
            self._celery.send_task(
                BENCHMARK_TASK,
                args=[str(self._folder), task.strategy, task.seed, self._device],
                queue=BENCHMARK_QUEUE,
            )
        except (RedisError, OSError) as error:
            raise InvalidInput(f"the broker does not answer: {error}") from error
        self._sent[task] = time.time()

    def over(self) -> set[Task]:
        """The tasks whose note says that they ended; silent ones are sent again."""
        ended = set()
        for task, sent in list(self._sent.items()):
            note = note_of(self._folder, task.strategy, task.seed)
            with suppress(FileNotFoundError):
                if note.read_text() == "over":
                    ended.add(task)
                elif time.time() - max(note.stat().st_mtime, sent) > self._silence:
                    self.send(task)
        for task in ended:
            del self._sent[task]
        return ended

    def close(self) -> None:
        """Nothing to wait for: workers see the stop file and end their task."""


def note_of(folder: Path, strategy: str | None, seed: int) -> Path:
    """Where a Celery worker notes that it works on a task, and that it is over."""
    return folder / "notes" / f"{strategy or 'preparing'}-{seed}"


def work_noted(folder: Path, strategy: str | None, seed: int, device: str) -> None:
    """A task as a Celery worker does it; if another does it already, nothing."""
    note = note_of(folder, strategy, seed)
    with note.open("r+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return

        # As many as a local process has: figures hang on them.
        fix_threads(1)
        work(folder, strategy, seed, device, on_check=lambda: os.utime(note))
        held.truncate(0)
        held.write("over")
