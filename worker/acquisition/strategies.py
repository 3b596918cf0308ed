"""The named strategies: a measure × an aggregation, random, and those beyond the paper.

A strategy of one's own is a ``Strategy`` named by an entry point of the group
``sfumato.strategies``.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from itertools import product

import torch

from worker.acquisition import beyond, query
from worker.acquisition.pool import (
    DETERMINISTIC_MEASURES,
    STOCHASTIC_MEASURES,
    Pick,
    PoolScores,
    Select,
    Strategy,
)

__all__ = ["STRATEGIES", "Pick", "PoolScores", "Select", "Strategy", "find_strategy"]


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


MEASURES = DETERMINISTIC_MEASURES + STOCHASTIC_MEASURES
AGGREGATIONS: dict[str, Select] = {
    "": select_total,
    "-target": select_target,
    "-selective": select_selective,
}

_PAPER = (
    Strategy("random", None, select_random),
    *(
        Strategy(measure + suffix, measure, select)
        for measure, (suffix, select) in product(MEASURES, AGGREGATIONS.items())
    ),
)
_BEYOND = (
    Strategy("random-foreground", "entropy", beyond.select_random_foreground),
    Strategy("clasp", "entropy", beyond.select_clasp),
    Strategy("stochastic-batches", "entropy", beyond.select_stochastic_batch),
    Strategy("core-set", "entropy", beyond.select_core_set, features=True),
    *(Strategy(f"{m}-selective-power", m, beyond.select_selective_power) for m in MEASURES),
    *(
        Strategy(f"{m}-selective-diverse", m, beyond.select_selective_diverse, features=True)
        for m in MEASURES
    ),
)
STRATEGIES: Mapping[str, Strategy] = {s.name: s for s in (*_PAPER, *_BEYOND)}


def find_strategy(name: str) -> Strategy:
    """The strategy of that name: built in, from an entry point, or ``module:NAME``.

    Raises ``KeyError``.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    module, colon, attribute = name.partition(":")
    if colon:
        try:
            here = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise KeyError(f"no strategy {name!r}: {error}") from error
        if isinstance(here, Strategy):
            return here
    for entry in entry_points(group="sfumato.strategies", name=name):
        found = entry.load()
        if isinstance(found, Strategy):
            return found
    raise KeyError(f"no strategy {name!r}: there are {', '.join(STRATEGIES)}")
