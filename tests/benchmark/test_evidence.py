"""The goals of the recipe: a table that keeps each misses none, one that does not is told so."""

import pandas as pd
import pytest

from worker.benchmark import evidence
from worker.benchmark.evidence import (
    LARGE,
    SMALL,
    STRATEGIES,
    goals_of,
    goals_of_demo,
    goals_of_sizes,
)
from worker.benchmark.record import FULL

GROUND = "lgg-flair-small"


def table(seeds: int = 10, full: float = 0.8) -> pd.DataFrame:
    """Curves that rise by 0.05 a round, of both strategies, alike on every seed."""
    rows = [
        {
            "strategy": name,
            "seed": seed,
            "round": r,
            "labelled": 40 * r,
            "dice_case": 0.4 + 0.05 * r,
        }
        for name in STRATEGIES
        for seed in range(seeds)
        for r in range(1, 6)
    ]
    rows += [
        {"strategy": FULL, "seed": seed, "round": 0, "labelled": 900, "dice_case": full}
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).assign(collapses=0)


def changed(by: float, round_: int, strategy: str = STRATEGIES[0], seed: int = 3) -> pd.DataFrame:
    """The table with one round of one run that differs."""
    rows = table()
    one = (rows["strategy"] == strategy) & (rows["seed"] == seed) & (rows["round"] == round_)
    rows.loc[one, "dice_case"] += by
    return rows


def missed(rows: pd.DataFrame, ground: str = GROUND) -> list[str]:
    return [goal.words.partition(": ")[2] for goal in goals_of(ground, rows) if not goal.met]


def test_a_table_that_keeps_all_promises_misses_none():
    assert missed(table()) == []
    # The phantom's network of all labels is held to nothing.
    assert missed(table(full=0.1), "phantom-small") == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (table(seeds=9), "10 seeds"),
        (table(full=0.64), "all labels are better"),
        (changed(-0.11, 4), "no round falls by more than 0.05"),
        (changed(-0.45, 1), "no network that predicts nothing"),
    ],
)
def test_a_promise_that_is_not_kept_is_said(rows, words):
    assert any(one.startswith(words) for one in missed(rows))


def test_small_falls_count_by_their_share():
    few, many = table(), table()
    for rows, seeds in ((few, range(4)), (many, range(10))):
        for seed in seeds:
            one = (rows["seed"] == seed) & (rows["round"] == 3)
            rows.loc[one, "dice_case"] -= 0.075
    assert missed(few) == []
    assert any("at most 10 %" in one for one in missed(many))


def test_a_difference_that_hangs_on_the_seed_is_said():
    rows = table()
    for seed in range(10):
        one = (rows["strategy"] == STRATEGIES[1]) & (rows["seed"] == seed)
        rows.loc[one, "dice_case"] += 0.1 * (seed % 2)
    assert any("paired difference" in one for one in missed(rows))


def test_the_demo_is_held_to_its_curve():
    rows = pd.DataFrame(
        [
            {
                "seed": seed,
                "round": r,
                "dice_case": 0.5 + 0.06 * r,
                "seconds_of_the_demo": 85,
                "training_share": 0.7,
            }
            for seed in range(5)
            for r in range(1, 6)
        ]
    )
    assert all(goal.met for goal in goals_of_demo(rows))
    rows.loc[2, "dice_case"] -= 0.1
    rows["training_share"] = 0.5
    assert [goal.met for goal in goals_of_demo(rows)] == [True, False, True, True, False]


def networks_of_all_labels(large: float, small: float, **changes) -> pd.DataFrame:
    alike = {"neighbours": 1, "steps": 3000, "seeds": "0 1 2"}
    rows = {
        LARGE: {"width": 32, "shrink": 1, "dice_case": large, **alike, **changes},
        SMALL: {"width": 8, "shrink": 4, "dice_case": small, **alike},
    }
    return pd.DataFrame.from_dict(rows, orient="index")


@pytest.mark.parametrize(
    ("table", "met"),
    [
        (networks_of_all_labels(0.7, 0.65), [True, True]),
        (networks_of_all_labels(0.64, 0.6), [False, True]),
        (networks_of_all_labels(0.7, 0.71), [True, False]),
        (networks_of_all_labels(0.7, 0.65, seeds="0 1"), [False, False]),
        (networks_of_all_labels(0.7, 0.65, steps=9000), [True, False]),
        (networks_of_all_labels(0.7, 0.65, shrink=2), [False, False]),
    ],
)
def test_more_pixels_are_held_to_what_they_bring(table, met):
    assert [goal.met for goal in goals_of_sizes(table)] == met


def test_without_tables_every_goal_is_missed_and_said(tmp_path, capsys):
    assert evidence.main(tmp_path) == 1
    said = capsys.readouterr().out
    assert said.count("MISSED") == 6
    assert "demo: a table" in said
