"""The registry: its names, and what each strategy looks at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from app.core.catalogue import PAPER_STRATEGIES, own_names
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
    assert tuple(STRATEGIES) == own_names("strategy")
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


def test_an_installed_package_offers_its_strategy_to_server_and_worker(tmp_path):
    """A real entry point, as pip leaves it."""
    (tmp_path / "my_package.py").write_text(
        "from worker.acquisition.strategies import STRATEGIES, Strategy\n"
        "MINE = Strategy('mine', 'entropy', STRATEGIES['entropy'].select)\n"
    )
    information = tmp_path / "my_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[sfumato.strategies]\nmine = my_package:MINE\n")
    code = (
        "from app.core.project_settings import QuerySettings\n"
        "from worker.acquisition.strategies import find_strategy\n"
        "assert QuerySettings(strategy='mine').strategy == 'mine'\n"
        "assert find_strategy('mine').name == find_strategy('my_package:MINE').name == 'mine'\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
