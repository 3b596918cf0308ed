"""The named strategies: a measure × an aggregation, random, and those beyond the paper."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import torch

from worker.acquisition import beyond, query
from worker.acquisition.measures import names
from worker.acquisition.pool import Pick, PoolScores, Select, Strategy

__all__ = [
    "AGGREGATIONS",
    "STRATEGIES",
    "Aggregation",
    "Pick",
    "PoolScores",
    "Select",
    "Strategy",
    "strategy_of",
]


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


@dataclass(frozen=True)
class Aggregation:
    """How a measure's sums over regions become a batch."""

    select: Select
    features: bool = False


# A strategy of a measure is named by the measure and one of these.
AGGREGATIONS: Mapping[str, Aggregation] = {
    "": Aggregation(select_total),
    "-target": Aggregation(select_target),
    "-selective": Aggregation(select_selective),
    "-selective-power": Aggregation(beyond.select_selective_power),
    "-selective-diverse": Aggregation(beyond.select_selective_diverse, features=True),
}


def strategy_of(measure: str, suffix: str) -> Strategy:
    """The strategy that takes a measure in one of the aggregations. Raises ``KeyError``."""
    chosen = AGGREGATIONS[suffix]
    return Strategy(measure + suffix, measure, chosen.select, chosen.features)


_ALL = (
    Strategy("random", None, select_random),
    *(strategy_of(measure, suffix) for measure, suffix in product(names(), AGGREGATIONS)),
    Strategy("random-foreground", "entropy", beyond.select_random_foreground),
    Strategy("foreground-areas", "entropy", beyond.select_foreground_areas),
    Strategy("clasp", "entropy", beyond.select_clasp),
    Strategy("stochastic-batches", "entropy", beyond.select_stochastic_batch),
    Strategy("core-set", "entropy", beyond.select_core_set, features=True),
)
# Our own; the registry of the worker knows those of others too.
STRATEGIES: Mapping[str, Strategy] = {strategy.name: strategy for strategy in _ALL}
