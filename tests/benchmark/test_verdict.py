"""A candidate wins where it is better than every rival by both corrected tests, in minutes."""

import numpy as np
import pandas as pd
import pytest

from worker.benchmark.evidence import goals_of_confirmation
from worker.benchmark.verdict import RIVALS, in_words, verdict, winners

SEEDS = 10


def table(gains: dict[str, float], noise: float = 0.01, slow: float = 1.0) -> pd.DataFrame:
    """Curves of five rounds; ``gains``: by how much a strategy is above the others.

    ``slow``: how many times the minutes of the others the candidates take.
    """
    chance = np.random.default_rng(0)
    rows = []
    for name in [*RIVALS, *gains]:
        for seed in range(SEEDS):
            off = chance.normal(0, noise)
            rows += [
                {
                    "strategy": name,
                    "seed": seed,
                    "round": r,
                    "labelled": 40 * r,
                    "minutes": 10.0 + 15 * (r - 1) * (slow if name in gains else 1),
                    "dice_case": 0.4 + 0.05 * r + gains.get(name, 0) + off,
                    "collapses": 0,
                }
                for r in range(1, 6)
            ]
    return pd.DataFrame(rows)


def better(rows: pd.DataFrame) -> dict[str, bool]:
    tests = verdict(rows, "dice_case")
    assert len(tests) == len(RIVALS) * tests["strategy"].nunique()
    return {str(name): bool(own["better"].all()) for name, own in tests.groupby("strategy")}


def test_what_is_far_better_wins_and_what_is_alike_or_worse_does_not():
    assert better(table({"good": 0.1, "bad": -0.1})) == {"good": True, "bad": False}
    assert better(table({"alike": 0.0})) == {"alike": False}


def test_a_small_gain_that_only_the_plain_test_sees_is_no_win():
    tests = verdict(table({"some": 0.012}), "dice_case")
    assert (tests["p_holm"] < 0.05).any()
    assert not tests["better"].any()
    assert (tests["p_resampled_holm"] >= tests["p_resampled"]).all()


def test_minutes_count_not_slices():
    assert better(table({"good": 0.06})) == {"good": True}
    assert better(table({"dear": 0.06}, slow=4.0)) == {"dear": False}


def test_without_a_rival_or_a_candidate_nothing_is_said():
    rows = table({"good": 0.1})
    assert verdict(rows[rows["strategy"] != RIVALS[0]], "dice_case").empty
    assert verdict(rows[rows["strategy"].isin(RIVALS)], "dice_case").empty
    assert verdict(rows.assign(minutes=np.nan), "dice_case").empty


def test_two_grounds_of_three_make_a_default():
    won, lost = (verdict(table({"good": gain}), "dice_case") for gain in (0.1, 0.0))
    assert winners({"a": won, "b": lost, "c": won}) == {"good": ["a", "c"]}
    assert "it may become the default" in in_words({"a": won, "b": lost, "c": won})[0]
    [words] = in_words({"a": won, "b": lost, "c": lost})
    assert "on a: the default stays" in words
    assert "no ground" in in_words({"a": lost})[0]


@pytest.mark.parametrize(
    ("rows", "met"),
    [
        (table({"good": 0.1}), [True, True, True]),
        (table({}), [False, True, True]),
        (table({"a": 0.1, "b": 0.1, "c": 0.1}), [False, True, True]),
        (table({"good": 0.1}).query("strategy != 'clasp'"), [False, True, True]),
        (table({"good": 0.1}).query("strategy != 'clasp' or seed < 9"), [True, False, True]),
        (table({"good": -0.6}), [True, True, False]),
    ],
)
def test_a_confirmation_is_held_to_being_whole(rows, met):
    assert [goal.met for goal in goals_of_confirmation("ground", rows)] == met
