"""The Celery side: a task that runs what it finds in the table of jobs; one for benchmarks."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_ready, worker_shutting_down
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.dispatch import (
    BENCHMARK_TASK,
    TASK_NAME,
    CeleryDispatcher,
    broker_client,
    celery_app,
)
from app.logs import configure_logs
from app.loop import capabilities
from app.observing.tracing import start_tracing
from app.settings import Settings
from app.store import Database, database_now
from app.sweep import sweep_until
from worker.runner import Runner
from worker.tried import capabilities as tried


def run_worker(settings: Settings, queues: tuple[str, ...]) -> None:
    """Serve these queues until told to stop. One job at a time, in this very process.

    The pool is ``solo``: nothing forks after torch or CUDA was touched. More jobs at once are
    more workers.
    """
    if settings.broker_url is None:
        raise ValueError("a worker needs SFUMATO_BROKER_URL, or `sfumato up`, which sets it")
    configure_logs(settings)
    database = Database(settings.effective_database_url, settings.lock_timeout_seconds)
    dispatcher = CeleryDispatcher(settings.broker_url)
    name = f"{socket.gethostname()}:{os.getpid()}"
    tracing = start_tracing(settings, "sfumato-worker", database)
    runner = Runner(database, dispatcher, settings, queues, name, tracing)
    celery = _with_task(celery_app(settings.broker_url), runner)
    stop = threading.Event()

    def show() -> None:
        with database.writing() as session:
            known = capabilities.see_worker(session, name, database_now(session))
        if not known:
            report_capabilities(database, name, queues, settings)

    sweeper = threading.Thread(
        target=sweep_until, args=(stop, database, dispatcher, settings, show), daemon=True
    )

    def ready(**_: Any) -> None:
        report_capabilities(database, name, queues, settings)
        sweeper.start()
        # What was queued while no worker lived is found at once.
        dispatcher.wake(queues)

    def shutting_down(**_: Any) -> None:
        # Called in the middle of whatever the job was at, with its locks held: nothing is written.
        stop.set()
        runner.stop()

    worker_ready.connect(ready, weak=False)
    worker_shutting_down.connect(shutting_down, weak=False)
    _hear_of_the_end(runner.stop)
    threading.Thread(target=runner.hand_back_late, name="hand-back", daemon=True).start()
    try:
        celery.worker_main(
            [
                "worker",
                "--pool=solo",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
                f"--queues={','.join(queues)}",
                f"--hostname={name}",
                "--loglevel=WARNING",
            ]
        )
    finally:
        with suppress(SQLAlchemyError), database.writing() as session:
            capabilities.forget_worker(session, name)
        tracing.stop()


def _hear_of_the_end(tell: Callable[[], None]) -> None:
    """Have it told by a thread when a signal ends this process.

    Handlers wait until the main thread is back from whatever library it computes in; what the
    interpreter writes at once does not.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        # Held here, or it would be closed.
        while told.fileno() >= 0:
            if {signal.SIGTERM, signal.SIGINT} & set(heard.recv(1)):
                tell()

    threading.Thread(target=listen, name="signals", daemon=True).start()


def report_capabilities(
    database: Database, name: str, queues: tuple[str, ...], settings: Settings
) -> None:
    """Tell the server which names of the catalogue this worker can answer for."""
    found: dict[str, dict[str, str | None]] = {}
    limits = {}
    for one in tried(settings):
        found.setdefault(one.kind, {})[one.name] = one.error
        if one.limits:
            limits[one.name] = one.limits
    with database.writing() as session:
        capabilities.report_worker(session, name, queues, found, database_now(session), limits)


def shut_broker_down(settings: Settings) -> None:
    """End the embedded broker whose supervisor is gone; it has nobody else."""
    if settings.broker_url is not None:
        with suppress(RedisError):
            broker_client(settings.broker_url).shutdown(nosave=True)


def _with_task(celery: Celery, runner: Runner) -> Celery:
    @celery.task(name=TASK_NAME)  # type: ignore[untyped-decorator]
    def work() -> None:
        runner.work()

    @celery.task(name=BENCHMARK_TASK)  # type: ignore[untyped-decorator]
    def benchmark(folder: str, strategy: str | None, seed: int, device: str) -> None:
        # Not before it is needed: its libraries would slow the start of every worker.
        from worker.benchmark.executors import work_noted

        work_noted(Path(folder), strategy, seed, device)

    return celery
