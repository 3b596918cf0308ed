"""The named strategies: a measure × an aggregation, or random.

A strategy of one's own is a ``Strategy`` named by an entry point of the group
``sfumato.strategies``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import product

import torch
from torch import Tensor

from worker.acquisition import query


@dataclass(frozen=True)
class PoolScores:
    """What is known of the pool under one measure: (N,) scores a slice over each region."""

    total: Tensor
    target: Tensor
    boundary: Tensor

    def __len__(self) -> int:
        return len(self.total)


@dataclass(frozen=True)
class Pick:
    """One chosen slice: its index in the pool, the ranked list it came from, its score there."""

    index: int
    stream: str
    score: float | None


Select = Callable[[PoolScores, int, int], list[Pick]]


@dataclass(frozen=True)
class Strategy:
    """A named query strategy.

    ``measure`` is the pixel measure that the pool must be scored with, None when none is
    needed; ``select(scores, k, seed)`` returns min(k, N) distinct picks, best first.
    """

    name: str
    measure: str | None
    select: Select

    @property
    def stochastic(self) -> bool:
        """Whether the measure needs several passes with dropout."""
        return self.measure in STOCHASTIC_MEASURES


def select_random(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Any k slices."""
    order = query.top_k(torch.zeros(len(scores)), k, seed)
    return [Pick(index, "random", None) for index in order.tolist()]


def select_total(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Conventional: by the sum over all pixels."""
    order = query.top_k(scores.total, k, seed)
    return [Pick(index, "total", float(scores.total[index])) for index in order.tolist()]


def select_target(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """By the sum over the predicted target alone (eqs. 1, 3)."""
    order = query.rank(scores.target, seed, scores.total)[:k]
    return [Pick(index, "target", float(scores.target[index])) for index in order.tolist()]


def select_selective(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """From the target and the boundary ranking in turn (eqs. 1 to 5)."""
    order = query.selective_order(scores.target, scores.boundary, scores.total, k, seed)
    by_stream = {"target": scores.target, "boundary": scores.boundary}
    return [Pick(index, stream, float(by_stream[stream][index])) for index, stream in order]


DETERMINISTIC_MEASURES = ("entropy", "least-confidence", "margin")
STOCHASTIC_MEASURES = ("mc-dropout", "bald")
AGGREGATIONS: dict[str, Select] = {
    "": select_total,
    "-target": select_target,
    "-selective": select_selective,
}

STRATEGIES: Mapping[str, Strategy] = {
    "random": Strategy("random", None, select_random),
    **{
        measure + suffix: Strategy(measure + suffix, measure, select)
        for measure, (suffix, select) in product(
            DETERMINISTIC_MEASURES + STOCHASTIC_MEASURES, AGGREGATIONS.items()
        )
    },
}


def find_strategy(name: str) -> Strategy:
    """The strategy of that name, built in or from an entry point. Raises ``KeyError``."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    for entry in entry_points(group="sfumato.strategies", name=name):
        found = entry.load()
        if isinstance(found, Strategy):
            return found
    raise KeyError(f"no strategy {name!r}: there are {', '.join(STRATEGIES)}")
