"""`sfumato benchmark`: keeps the runs going, shows how far they are, and has the report drawn."""

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from app.core.effort import read_effort
from app.core.errors import InvalidInput
from app.formats.phantom import write_phantom
from app.settings import NumericLimits, Settings
from worker.benchmark.asked import Asked, check_sizes, plan_of, settings_of
from worker.benchmark.executors import CeleryExecutor, Executor, LocalExecutor
from worker.benchmark.ground import read_ground
from worker.benchmark.parts import machines_differ
from worker.benchmark.plan import Plan, left_to_do
from worker.benchmark.progress import Shown
from worker.benchmark.record import Record, collect, read_rounds, write_json
from worker.benchmark.report import write_report
from worker.benchmark.settings import BenchmarkSettings, settings_kept, surroundings
from worker.benchmark.splits import divide

_POLL_SECONDS = 1.0

__all__ = ["Asked", "benchmark", "keep_effort", "redraw"]


def benchmark(
    asked: Asked,
    out: Path,
    workers: str,
    processes: int | None,
    threads: int,
    device: str,
    instructions: str | None = None,
    repeats: int = 1,
) -> bool:
    """Run what is not finished yet, and draw the report; returns whether all of it succeeded.

    ``instructions``: those that local processes use at most, for figures that another processor
    can repeat; ``repeats``: how often each strategy is trained on each seed, from the same first
    slices with other seeds of training.
    """
    console = Console(stderr=True)
    if instructions is not None:
        _pin(instructions, workers)
    settings = settings_of(asked)
    plan = plan_of(asked, settings)
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    record = Record(out)
    with _held(record):
        data = _data(asked, settings, out)
        ground = read_ground(data, settings.ground)
        for seed in plan.seeds:
            divide(ground, settings.ground, seed)
        pool = len(divide(ground, settings.ground, plan.seeds[0]).pool)
        check_sizes(settings, pool)
        everything = _remember(record, plan, data)
        stopped = False
        for number in range(repeats):
            one = record.repeated(number)
            if number:
                write_json(one.settings_file, json.loads(record.settings_file.read_text()))
            one.stop_file.unlink(missing_ok=True)
            executor = _executor(workers, one.folder, processes, threads, device)
            with _stoppable():
                stopped = _drive(executor, plan, one, pool, console)
            collect(record, everything.strategies, everything.seeds)
            if stopped:
                break
    errors = _errors(record, plan)
    for name, error in errors.items():
        console.print(f"[red]{name} failed:[/red] {error.strip().splitlines()[-1]}", soft_wrap=True)
    if stopped:
        console.print("stopped; finished rounds are kept: the same command goes on from there")
    words = machines_differ(read_rounds(record))
    if words is not None:
        console.print(f"[yellow]{words}[/yellow]", soft_wrap=True)
    if not read_rounds(record).empty:
        console.print(f"the report is in {redraw(out)}", soft_wrap=True)
    return not errors and not stopped


def _pin(instructions: str, workers: str) -> None:
    """Have the processes of this command use these instructions at most."""
    if workers != "local":
        raise InvalidInput(
            "instructions are pinned in local processes alone: of Celery's workers, set "
            "ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA where they start"
        )
    os.environ.update(NumericLimits.pinned_to(instructions))


def _errors(record: Record, plan: Plan) -> dict[str, str]:
    """The runs of a plan that failed, of all repeats, and why."""
    planned = _folders(plan)
    found: dict[str, str] = {}
    for one in record.all_repeats():
        mark = f" (repeat {one.repeat})" if one.repeat else ""
        found |= {k + mark: error for k, error in one.errors().items() if k in planned}
    return found


def keep_effort(out: Path, effort: Path) -> None:
    """Have a folder's minutes counted by an annotator's seconds in a file.

    Raises ``InvalidInput``.
    """
    write_json(Record(out).effort_file, read_effort(effort).model_dump())


def redraw(out: Path) -> Path:
    """Draw the report from the tables alone."""
    record = Record(out)
    if not record.rounds_file.exists():
        raise InvalidInput(f"{record.rounds_file} is not there: run the benchmark first")
    return write_report(record)


def _data(asked: Asked, settings: BenchmarkSettings, out: Path) -> Path:
    """Where the data are; the phantom is written if none are given."""
    if asked.data is not None:
        return asked.data.resolve()
    if settings.phantom is None:
        raise InvalidInput("name the folder of a data set (only the phantom preset makes its own)")
    folder, made = out / "phantom", settings.phantom
    if not (folder / "dataset.json").exists():
        write_phantom(folder, made.cases, made.slices, made.size, made.seed)
    return folder


def _remember(record: Record, plan: Plan, data: Path) -> Plan:
    """Write down what is computed here. Raises ``InvalidInput`` when it was something else.

    Strategies and seeds add up over commands; returns the plan with all of them.
    """
    settings = plan.settings.model_dump(mode="json")
    sources, seeds = plan.sources, list(plan.seeds)
    if record.settings_file.exists():
        found = json.loads(record.settings_file.read_text())
        before = settings_kept(found["settings"]).model_dump(mode="json")
        if before != settings:
            raise InvalidInput(
                f"{record.folder} holds a benchmark with other settings "
                f"({', '.join(_differences(before, settings))}): give another --out"
            )
        sources = {**found["strategies"], **sources}
        seeds = sorted({*found["seeds"], *seeds})
    write_json(
        record.settings_file,
        {
            "settings": settings,
            "strategies": sources,
            "seeds": seeds,
            "data": str(data),
            "surroundings": surroundings(),
        },
    )
    return Plan(plan.settings, sources, tuple(seeds))


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted({*old, *new}):
        ours, theirs = old.get(key), new.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            yield from _differences(ours, theirs, f"{prefix}{key}.")
        elif ours != theirs:
            yield f"{prefix}{key}: {ours} there, {theirs} now"


def _executor(
    workers: str, out: Path, processes: int | None, threads: int, device: str
) -> Executor:
    if workers == "local":
        return LocalExecutor(
            out, processes or max(1, (os.cpu_count() or 1) // threads), threads, device
        )
    if workers != "celery":
        raise InvalidInput(f"workers are {workers!r}: write local or celery")
    broker_url = Settings().broker_url
    if broker_url is None:
        raise InvalidInput("--workers celery needs SFUMATO_BROKER_URL")
    return CeleryExecutor(out, broker_url, device)


def _drive(executor: Executor, plan: Plan, record: Record, pool: int, console: Console) -> bool:
    """Send each seed's preparation, then its runs; returns whether Ctrl-C stopped it."""
    waiting = left_to_do(plan, record, read_rounds(record.base))
    unfinished = {*waiting, *(run for runs in waiting.values() for run in runs)}
    try:
        with Shown(plan, record, pool, console) as shown:
            for task in waiting:
                executor.send(task)
            while unfinished:
                for task in executor.over():
                    unfinished.discard(task)
                    runs = waiting.get(task, [])
                    if task.strategy is None and record.failed(task.seed):
                        # Nothing to start from: the error says why.
                        unfinished.difference_update(runs)
                        continue
                    for run in runs:
                        executor.send(run)
                shown.update(unfinished)
                time.sleep(_POLL_SECONDS if unfinished else 0)
    except KeyboardInterrupt:
        console.print("stopping: each run ends at its next step")
        record.stop_file.touch()
        return True
    except Exception:
        record.stop_file.touch()
        raise
    finally:
        # The stop file stays until the next start: a Celery worker may not have looked yet.
        executor.close()
    return False


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM, as a queue system sends it, stops like Ctrl-C; so does SIGINT behind ``nohup``."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _held(record: Record) -> Iterator[None]:
    with record.lock_file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(
                f"another benchmark works on {record.folder}: wait for it, or give another --out"
            ) from error
        yield


def _folders(plan: Plan) -> set[str]:
    named = {f"{task.strategy}-{task.seed}" for task in plan.tasks() if task.strategy}
    return named | {str(task.seed) for task in plan.tasks()}
