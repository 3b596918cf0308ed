"""The mixed model finds what was put in, and nothing where nothing was."""

import numpy as np
import pandas as pd
import pytest

from worker.benchmark.mixed import areas_by_case, differences


def cases_of(effects: dict[str, float], seeds: int = 8, run: float = 0.01) -> pd.DataFrame:
    """Two rounds of each strategy on every seed; cases differ more than anything else."""
    rng = np.random.default_rng(1)
    hard = rng.normal(0, 0.2, 30)
    rows = []
    for seed in range(seeds):
        tested = rng.permutation(30)[:10]
        for strategy, effect in effects.items():
            trained = rng.normal(0, run)
            rows += [
                (strategy, seed, round_, f"c{case}", 1, dice)
                for case in tested
                for round_ in (1, 2)
                for dice in [0.5 + effect + hard[case] + trained + rng.normal(0, 0.03)]
            ]
    columns = ["strategy", "seed", "round", "case", "class", "dice"]
    return pd.DataFrame(rows, columns=columns)


def test_a_difference_that_cases_hide_is_found():
    cases = cases_of({"random": 0.0, "mine: 100 %": 0.04, "same": 0.0})
    found = differences(areas_by_case(cases), "random").set_index("strategy")
    ours, same = found.loc["mine: 100 %"], found.loc["same"]
    assert ours["difference"] == pytest.approx(0.04, abs=0.015)
    assert ours["low"] > 0
    assert ours["p"] < 0.001
    assert same["low"] < 0 < same["high"]


def test_networks_that_differ_by_chance_are_no_effect():
    cases = cases_of({"random": 0.0, "mine": 0.0}, run=0.08)
    (found,) = differences(areas_by_case(cases), "random").itertuples()
    # Ten cases of one network are no ten networks.
    assert found.p > 0.05


def test_areas_are_of_classes_and_of_whole_runs():
    cases = pd.DataFrame(
        [
            ("a", 0, 0, "x", 1, 0.9),  # of all labels
            ("a", 0, 1, "x", 1, 0.2),
            ("a", 0, 2, "x", 1, 0.4),
            ("a", 0, 1, "x", 2, 0.6),
            ("a", 0, 2, "x", 2, 0.8),
            ("b", 0, 1, "x", 1, 0.5),  # its second round is not there yet
        ],
        columns=["strategy", "seed", "round", "case", "class", "dice"],
    )
    assert areas_by_case(cases)["area"].tolist() == pytest.approx([0.5])
    assert areas_by_case(cases, class_=2)["area"].tolist() == pytest.approx([0.7])


def test_without_seeds_or_a_reference_nothing_is_said():
    assert differences(areas_by_case(cases_of({"a": 0, "b": 0}, seeds=2)), "a").empty
    assert differences(areas_by_case(cases_of({"a": 0, "b": 0})), "random").empty
