"""Our own strategies: their names, and what each strategy looks at."""

import pytest
import torch

from app.core import catalogue
from app.core.catalogue import PAPER_STRATEGIES, VARIANTS, own_names
from worker.acquisition.pool import PoolScores
from worker.acquisition.strategies import AGGREGATIONS, STRATEGIES

SCORES = PoolScores(
    total=torch.tensor([1.0, 2.0, 3.0, 4.0]),
    target=torch.tensor([4.0, 1.0, 3.0, 2.0]),
    boundary=torch.tensor([0.0, 9.0, 1.0, 2.0]),
    by_class=torch.tensor([[1.0, 0.0], [0.5, 0.0], [2.0, 3.0], [0.0, 0.0]]),
    foreground=torch.tensor([0, 5, 7, 0]),
    features=torch.tensor([[0.0], [1.0], [1.1], [9.0]]),
    labelled_features=torch.tensor([[0.5]]),
    cases=torch.tensor([0, 0, 1, 1]),
    progress=1.0,
)


def chosen(name: str, k: int = 4) -> list[tuple[int, str]]:
    return [(pick.index, pick.stream) for pick in STRATEGIES[name].select(SCORES, k, 0)]


def test_the_server_and_the_worker_know_the_same_names_and_the_paper_s_sixteen_come_first():
    assert sorted(STRATEGIES) == sorted(own_names("strategy"))
    assert own_names("strategy")[:16] == PAPER_STRATEGIES
    assert len(PAPER_STRATEGIES) == 16
    assert tuple(AGGREGATIONS) == (*catalogue.AGGREGATIONS, *VARIANTS)


def test_what_each_aggregation_ranks_by():
    assert chosen("entropy", 2) == [(3, "total"), (2, "total")]
    assert chosen("margin-target", 2) == [(0, "target"), (2, "target")]
    assert chosen("bald-selective", 3) == [(0, "target"), (1, "boundary"), (2, "target")]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_gives_distinct_slices_and_never_more_than_there_are(name):
    for k in (0, 1, 3, 4, 9):
        indices = [index for index, _ in chosen(name, k)]
        assert len(indices) == len(set(indices)) == min(k, 4)


def test_random_depends_on_the_seed_alone():
    pool = PoolScores(*(torch.zeros(100) for _ in range(3)))
    draws = [[p.index for p in STRATEGIES["random"].select(pool, 9, s)] for s in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
