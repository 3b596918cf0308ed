"""A benchmark so small that it takes seconds."""

from pathlib import Path

from worker.benchmark.asked import Asked
from worker.benchmark.command import benchmark

TINY = (
    "training.width=2",
    "training.epochs=2",
    "training.batch_size=8",
    "training.learning_rate=0.01",
    "training.members=2",
    "query.mc_passes=2",
)
STRATEGIES = "random,entropy,entropy-target,entropy-selective,clasp,bald-selective-diverse"


def asked(data: Path | None, strategies: str = "random,entropy", seeds: str = "2", **changes):
    sizes = {"preset": "phantom-small", "rounds": 3, "initial": 4, "query": 4}
    return Asked(data, strategies, seeds, **{"assignments": TINY, **sizes, **changes})


def run(
    data: Path | None,
    out: Path,
    strategies: str = "random,entropy",
    repeats: int = 1,
    **changes,
) -> bool:
    # A process takes seconds to start: one does, except where there is much to do.
    processes = 2 if strategies == STRATEGIES else 1
    return benchmark(
        asked(data, strategies, **changes), out, "local", processes, 1, "cpu", repeats=repeats
    )
