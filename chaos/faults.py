"""What goes wrong in a real installation, each as a function that does it and puts it right again.

A fault returns when it is over: the verdict counts from there until an annotator is answered.
"""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import select, text

from app.loop.claims import STEP_SCORE, STEP_SELECT, STEP_TRAIN
from app.store import Job, JobState
from chaos.disk import SmallDisk
from chaos.processes import Kept
from chaos.topologies import Apart, Embedded, Topology

_LONGEST_WAIT = 15.0


@dataclass(frozen=True)
class Fault:
    """``name`` as the tally tells it; ``strike`` returns once it is over."""

    name: str
    strike: Callable[[], None]


def faults_of(
    topology: Embedded | Apart, rng: random.Random, disk: SmallDisk | None
) -> list[Fault]:
    """All that can be done to a topology; a full disk only where there is a disk to fill."""
    common = [
        Fault("clients' connections cut", lambda: _cut(topology, rng)),
        Fault("server killed", lambda: rng.choice(topology.apis).kill()),
        Fault("server ended in order", lambda: _terminate(rng.choice(topology.apis))),
        Fault("server stopped for seconds", lambda: _stop(rng.choice(topology.apis), rng)),
        Fault("worker killed in training", lambda: _kill_worker(topology, STEP_TRAIN)),
        Fault("worker killed in scoring", lambda: _kill_worker(topology, STEP_SCORE)),
        Fault("worker killed in selecting", lambda: _kill_worker(topology, STEP_SELECT)),
        Fault("worker stopped until it is taken for dead", lambda: _stop_worker(topology)),
        Fault("clock of a process wrong by minutes", lambda: _wrong_clock(topology, rng, 600)),
    ]
    if disk is not None:
        common.append(Fault("disk full", lambda: _fill(disk, rng)))
    if isinstance(topology, Apart):
        return [*common, *_of_apart(topology, rng)]
    return [
        *common,
        Fault("broker killed", lambda: _kill_all(topology.broker_pids())),
        Fault("database locked by another program", lambda: _lock_sqlite(topology, rng)),
    ]


def _of_apart(topology: Apart, rng: random.Random) -> list[Fault]:
    return [
        Fault("database killed", lambda: _kill_database(topology, rng)),
        Fault("database restarted in order", lambda: _restart_database(topology)),
        Fault("connections to the database cut", topology.to_database.cut),
        Fault("network to the database stalled", lambda: _stall(topology, rng)),
        Fault("project's row locked by another program", lambda: _lock_project(topology, rng)),
        Fault("broker wiped", lambda: topology.broker.client().flushall()),
        Fault("broker away for seconds", lambda: _broker_away(topology, rng)),
        Fault("clock of a process wrong by hours", lambda: _wrong_clock(topology, rng, 10_000)),
    ]


def _cut(topology: Topology, rng: random.Random) -> None:
    rng.choice(list(topology.wires)).cut()


def _terminate(api: Kept) -> None:
    api.signal(signal.SIGTERM)
    api.process.wait()


def _stop(api: Kept, rng: random.Random) -> None:
    with _stopped(api.pid):
        time.sleep(rng.uniform(2, 8))


def _kill_worker(topology: Topology, step: str) -> None:
    """Kill the worker that is in a step, as soon as one is; after a while, whichever."""
    deadline = time.monotonic() + _LONGEST_WAIT
    while time.monotonic() < deadline:
        alive = topology.worker_pids()
        if found := [pid for pid in _at_work(topology, step) if pid in alive]:
            _kill_all(found[:1])
            return
        time.sleep(0.02)
    _kill_all(list(topology.worker_pids())[:1])


def _stop_worker(topology: Topology) -> None:
    """Stop the worker that computes for longer than its silence is borne; then let it go on."""
    deadline = time.monotonic() + _LONGEST_WAIT
    busy: list[int] = []
    while not busy and time.monotonic() < deadline:
        alive = topology.worker_pids()
        busy = [pid for pid in _at_work(topology) if pid in alive]
        time.sleep(0.02)
    if busy or (busy := list(topology.worker_pids())):
        with _stopped(busy[0]):
            time.sleep(9)


def _at_work(topology: Topology, step: str | None = None) -> list[int]:
    """The processes that the database says run a step; without one, any."""
    query = select(Job.worker).where(Job.state == JobState.RUNNING)
    if step is not None:
        query = query.where(Job.step == step)
    with topology.database.reading() as session:
        return [int(name.rsplit(":", 1)[1]) for name in session.scalars(query) if name]


def _wrong_clock(topology: Topology, rng: random.Random, seconds: float) -> None:
    """One process's clock jumps, forwards or back, and is set again after a while."""
    kept = list(topology.apis) + (topology.workers if isinstance(topology, Apart) else [])
    one = rng.choice(kept)
    one.clock.write_text(str(rng.choice((-1, 1)) * rng.uniform(0.5, 1) * seconds))
    time.sleep(rng.uniform(2, 6))
    one.clock.write_text("0")


def _fill(disk: SmallDisk, rng: random.Random) -> None:
    with disk.full():
        time.sleep(rng.uniform(2, 5))


def _lock_sqlite(topology: Topology, rng: random.Random) -> None:
    """As a backup tool or a person with `sqlite3` does."""
    path = topology.data_folder / "sfumato.db"
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(rng.uniform(3, 12))
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def _kill_database(topology: Apart, rng: random.Random) -> None:
    topology.database_down(signal.SIGKILL)
    topology.to_database.cut()
    time.sleep(rng.uniform(0.5, 4))
    topology.database_up()


def _restart_database(topology: Apart) -> None:
    # As its own scripts do: SIGINT is the fast way, which ends sessions and keeps what is done.
    topology.database_down(signal.SIGINT)
    topology.database_up()


def _stall(topology: Apart, rng: random.Random) -> None:
    topology.to_database.stall()
    time.sleep(rng.uniform(1, 6))
    topology.to_database.flow()


def _lock_project(topology: Apart, rng: random.Random) -> None:
    with topology.database.engine.connect() as connection:
        connection.execute(text("SELECT id FROM projects FOR UPDATE"))
        time.sleep(rng.uniform(2, 8))
        connection.rollback()


def _broker_away(topology: Apart, rng: random.Random) -> None:
    topology.broker.terminate()
    time.sleep(rng.uniform(2, 6))
    topology.broker_up()


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _kill_all(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
