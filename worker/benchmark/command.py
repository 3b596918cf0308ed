"""`sfumato benchmark`: keeps the runs going, shows how far they are, and has the report drawn."""

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.core import catalogue
from app.core.errors import InvalidInput
from app.core.project_settings import (
    ProjectSettings,
    with_assignments,
)
from app.formats.phantom import write_phantom
from app.settings import Settings
from worker.acquisition.strategies import find_strategy
from worker.benchmark.crew import CeleryCrew, Crew, LocalCrew
from worker.benchmark.ground import read_ground
from worker.benchmark.plan import Plan, Task, left_to_do, names_of, seeds_of
from worker.benchmark.record import Record, collect, read_rounds, write_json
from worker.benchmark.report import write_report
from worker.benchmark.settings import PRESETS, BenchmarkSettings, surroundings
from worker.benchmark.splits import divide

_POLL_SECONDS = 1.0
# The tidy tables are for people and for a crash: more often only costs disk writes.
_SECONDS_BETWEEN_TABLES = 20.0


@dataclass(frozen=True)
class Asked:
    """The command line."""

    data: Path | None
    strategies: str
    seeds: str
    preset: str | None = None
    rounds: int | None = None
    initial: int | None = None
    query: int | None = None
    init: str | None = None
    layout: str | None = None
    assignments: tuple[str, ...] = ()


def benchmark(
    asked: Asked, out: Path, workers: str, processes: int | None, threads: int, device: str
) -> bool:
    """Run what is not finished yet, and draw the report; returns whether all of it succeeded."""
    console = Console(stderr=True)
    settings = settings_of(asked)
    plan = _plan(asked, settings)
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    record = Record(out)
    with _held(record):
        data = _data(asked, settings, out)
        ground = read_ground(data, settings.ground)
        for seed in plan.seeds:
            divide(ground, settings.ground, seed)
        pool = len(divide(ground, settings.ground, plan.seeds[0]).pool)
        _check_sizes(settings, pool)
        everything = _remember(record, plan, data)
        record.stop_file.unlink(missing_ok=True)
        crew = _crew(workers, out, processes, threads, device)
        with _stoppable():
            stopped = _drive(crew, plan, record, pool, console)
        collect(record, everything.strategies, everything.seeds)
    errors = {k: v for k, v in record.errors().items() if k in _folders(plan)}
    for name, error in errors.items():
        console.print(f"[red]{name} failed:[/red] {error.strip().splitlines()[-1]}", soft_wrap=True)
    if stopped:
        console.print("stopped; finished rounds are kept: the same command goes on from there")
    if not read_rounds(record).empty:
        console.print(f"the report is in {redraw(out)}", soft_wrap=True)
    return not errors and not stopped


def redraw(out: Path) -> Path:
    """Draw the report from the tables alone."""
    record = Record(out)
    if not record.rounds_file.exists():
        raise InvalidInput(f"{record.rounds_file} is not there: run the benchmark first")
    return write_report(record)


def settings_of(asked: Asked) -> BenchmarkSettings:
    """The preset, changed by what the command line says. Raises ``InvalidInput``."""
    if asked.preset is not None and asked.preset not in PRESETS:
        raise InvalidInput(f"no preset {asked.preset!r}: choose one of {', '.join(PRESETS)}")
    base = PRESETS[asked.preset] if asked.preset else BenchmarkSettings()
    sizes = {"size": asked.query, "initial_size": asked.initial}
    query = base.query.model_copy(update={k: v for k, v in sizes.items() if v is not None})
    changed = with_assignments(
        ProjectSettings(query=query, training=base.training), list(asked.assignments)
    )
    values: dict[str, Any] = base.model_dump() | {
        "preset": asked.preset,
        "query": changed.query.model_dump(),
        "training": changed.training.model_dump(),
    }
    if asked.rounds is not None:
        values["rounds"] = asked.rounds
    if asked.init is not None:
        values["init"] = asked.init
    if asked.layout is not None:
        values["ground"]["layout"] = asked.layout
    try:
        return BenchmarkSettings.model_validate(values)
    except ValidationError as error:
        raise InvalidInput(f"these settings cannot be used: {error}") from error


def _plan(asked: Asked, settings: BenchmarkSettings) -> Plan:
    written = names_of(
        asked.strategies, catalogue.PAPER_STRATEGIES, catalogue.own_names("strategy")
    )
    try:
        sources = {find_strategy(name).name: name for name in written}
    except KeyError as error:
        raise InvalidInput(str(error.args[0])) from error
    try:
        seeds = seeds_of(asked.seeds)
    except ValueError as error:
        raise InvalidInput(f"seeds are {asked.seeds!r}: write 3, 100-104 or 1,5") from error
    if not sources or not seeds:
        raise InvalidInput("there is nothing to run: name a strategy and a seed")
    return Plan(settings, sources, seeds)


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


def _check_sizes(settings: BenchmarkSettings, pool: int) -> None:
    wanted = settings.labelled(settings.rounds)
    if wanted > pool:
        raise InvalidInput(
            f"{settings.rounds} rounds of {settings.query.size} after {settings.initial} label "
            f"{wanted} slices, the pool has {pool}: ask for less with --rounds or --query"
        )


def _remember(record: Record, plan: Plan, data: Path) -> Plan:
    """Write down what is computed here. Raises ``InvalidInput`` when it was something else.

    Strategies and seeds add up over commands; returns the plan with all of them.
    """
    settings = plan.settings.model_dump(mode="json")
    sources, seeds = plan.sources, list(plan.seeds)
    if record.settings_file.exists():
        found = json.loads(record.settings_file.read_text())
        # Read as settings: what a later version added has its default.
        before = BenchmarkSettings.model_validate(found["settings"]).model_dump(mode="json")
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


def _crew(workers: str, out: Path, processes: int | None, threads: int, device: str) -> Crew:
    if workers == "local":
        return LocalCrew(
            out, processes or max(1, (os.cpu_count() or 1) // threads), threads, device
        )
    if workers != "celery":
        raise InvalidInput(f"workers are {workers!r}: write local or celery")
    broker_url = Settings().broker_url
    if broker_url is None:
        raise InvalidInput("--workers celery needs SFUMATO_BROKER_URL")
    return CeleryCrew(out, broker_url, device)


def _drive(crew: Crew, plan: Plan, record: Record, pool: int, console: Console) -> bool:
    """Send each seed's preparation, then its runs; returns whether Ctrl-C stopped it."""
    waiting = left_to_do(plan, record, read_rounds(record))
    unfinished = {*waiting, *(run for runs in waiting.values() for run in runs)}
    try:
        with _Shown(plan, record, pool, console) as shown:
            for task in waiting:
                crew.send(task)
            while unfinished:
                for task in crew.over():
                    unfinished.discard(task)
                    runs = waiting.get(task, [])
                    if task.strategy is None and record.failed(task.seed):
                        # Nothing to start from: the error says why.
                        unfinished.difference_update(runs)
                        continue
                    for run in runs:
                        crew.send(run)
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
        crew.close()
    return False


class _Shown:
    """One progress bar over all that was asked for, and the tidy tables as they grow."""

    def __init__(self, plan: Plan, record: Record, pool: int, console: Console) -> None:
        self._plan, self._record, self._pool = plan, record, pool
        self._bar = _bar(console)
        self._cost = sum(plan.cost(task, pool) for task in plan.tasks())
        self._shown = self._bar.add_task("", total=self._cost, left="")
        self._started = self._written = time.monotonic()
        self._done_before: float | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, unfinished: set[Task]) -> None:
        """Show how far all tasks are, and how long the rest may take."""
        now = time.monotonic()
        done = sum(
            self._plan.begun(task, self._record, self._pool)
            if task in unfinished
            else self._plan.cost(task, self._pool)
            for task in self._plan.tasks()
        )
        if self._done_before is None:
            self._done_before = done
        left = _left(self._cost - done, done - self._done_before, now - self._started)
        words = f"{len(unfinished)} tasks left"
        self._bar.update(self._shown, completed=done, description=words, left=left)
        if now - self._written > _SECONDS_BETWEEN_TABLES:
            collect(self._record, self._plan.strategies, self._plan.seeds)
            self._written = now


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


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    return Progress(*columns, console=console)


def _left(cost: float, done: float, seconds: float) -> str:
    """An estimate in words, from what this command did so far."""
    if done <= 0:
        return "time left: not known yet"
    minutes = cost * seconds / done / 60
    return f"about {minutes / 60:.1f} h left" if minutes > 90 else f"about {minutes:.0f} min left"


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
