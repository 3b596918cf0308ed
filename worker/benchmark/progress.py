"""How far a benchmark is, shown while it runs."""

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from worker.benchmark.plan import Plan, Task
from worker.benchmark.record import Record, collect

# The tidy tables are for people and for a crash: more often only costs disk writes.
_SECONDS_BETWEEN_TABLES = 20.0


class Shown:
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
            collect(self._record.base, self._plan.strategies, self._plan.seeds)
            self._written = now


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
