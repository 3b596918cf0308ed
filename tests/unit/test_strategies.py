"""The registry: its names, and what each strategy looks at."""

import pytest
import torch

from app.loop.options import BUILT_IN_STRATEGIES, PAPER_STRATEGIES
from worker.acquisition.strategies import STRATEGIES, PoolScores, Strategy, find_strategy

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
    assert tuple(STRATEGIES) == BUILT_IN_STRATEGIES
    assert tuple(STRATEGIES)[:16] == PAPER_STRATEGIES
    assert len(PAPER_STRATEGIES) == 16


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


def test_only_the_dropout_measures_need_several_passes():
    stochastic = {name.split("-")[0] for name, s in STRATEGIES.items() if s.stochastic}
    assert stochastic == {"mc", "bald"}


def test_a_strategy_of_ones_own_comes_by_entry_point(monkeypatch):
    mine = Strategy("mine", "entropy", STRATEGIES["entropy"].select)

    class Entry:
        name = "mine"

        def load(self):
            return mine

    def entry_points(group, name=None):
        return [Entry()] if group == "sfumato.strategies" and name in (None, "mine") else []

    monkeypatch.setattr("worker.acquisition.strategies.entry_points", entry_points)
    assert find_strategy("mine") is mine
    with pytest.raises(KeyError, match="entropy-selective"):
        find_strategy("yours")
