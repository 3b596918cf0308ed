"""Which runs there are, which are finished, and what is left to do."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from worker.benchmark.record import FULL, Record
from worker.benchmark.settings import BenchmarkSettings


@dataclass(frozen=True)
class Task:
    """A run of a strategy on a seed; without a strategy, the preparation of the seed."""

    strategy: str | None
    seed: int

    def __str__(self) -> str:
        return f"{self.strategy or 'preparing'}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """All that was asked for. ``sources`` says by each strategy's name where it is found."""

    settings: BenchmarkSettings
    sources: dict[str, str]
    seeds: tuple[int, ...]

    @property
    def strategies(self) -> tuple[str, ...]:
        """The names."""
        return tuple(self.sources)

    def tasks(self) -> list[Task]:
        """Every run and every preparation."""
        return [Task(s, seed) for seed in self.seeds for s in (None, *self.strategies)]

    def cost(self, task: Task, pool: int) -> float:
        """What a task costs, in labelled slices trained on."""
        if task.strategy is None:
            return float(self.settings.initial + pool)
        return float(sum(self.settings.labelled(r) for r in range(2, self.settings.rounds + 1)))

    def begun(self, task: Task, record: Record, pool: int) -> float:
        """How much of an unfinished task's cost is behind us, by the files that are there."""
        if task.strategy is None:
            seed = record.seed_folder(task.seed)
            finished = ("first.json", self.settings.initial), ("full.json", pool)
            return float(sum(cost for name, cost in finished if (seed / name).exists()))
        rounds = record.rounds_done(task.strategy, task.seed)
        return float(sum(self.settings.labelled(r) for r in range(2, rounds + 1)))


def in_table(table: pd.DataFrame, task: Task, rounds: int, repeat: int = 0) -> bool:
    """Whether the tidy table holds all rounds of a run, wherever they were computed."""
    of_run = table[
        (table["strategy"] == task.strategy)
        & (table["seed"] == task.seed)
        & (table["repeat"] == repeat)
    ]
    return len(of_run) >= rounds


def left_to_do(plan: Plan, record: Record, table: pd.DataFrame) -> dict[Task, list[Task]]:
    """What is missing in a benchmark, or in one of its repeats: the table is of all of them.

    For each seed's preparation the runs that wait for it; seeds without any are left out.
    """
    waiting: dict[Task, list[Task]] = {}
    for seed in plan.seeds:
        runs = [
            task
            for strategy in plan.strategies
            if not _finished(task := Task(strategy, seed), plan, record, table)
        ]
        full_is_known = (
            record.repeat > 0
            or bool(record.shared_rows(seed))
            or (not table.empty and ((table["strategy"] == FULL) & (table["seed"] == seed)).any())
        )
        if runs or not full_is_known:
            waiting[Task(None, seed)] = runs
    return waiting


def _finished(task: Task, plan: Plan, record: Record, table: pd.DataFrame) -> bool:
    if in_table(table, task, plan.settings.rounds, record.repeat):
        return True
    files = record.round_files(task.strategy or "", task.seed)
    return bool(files) and not files[-1].selected


def seeds_of(text: str) -> tuple[int, ...]:
    """``3`` is 0, 1, 2; ``100-104`` and ``1,5`` are those. Raises ``ValueError``."""
    if text.isdigit():
        return tuple(range(int(text)))
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        seeds += range(int(first), int(last if dash else first) + 1)
    return tuple(dict.fromkeys(seeds))


def names_of(text: str, paper: Sequence[str], every: Sequence[str]) -> tuple[str, ...]:
    """Comma-separated names; ``paper`` are the sixteen, ``all`` every built-in strategy."""
    groups = {"paper": paper, "all": every}
    names = [name for part in text.split(",") for name in groups.get(part.strip(), (part.strip(),))]
    return tuple(dict.fromkeys(name for name in names if name))
