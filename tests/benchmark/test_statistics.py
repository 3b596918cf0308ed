"""The statistics of a report, by hand and against what must hold."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from app.core.effort import Effort
from worker.benchmark import figures, statistics, tables
from worker.benchmark.minutes import with_minutes
from worker.benchmark.plan import names_of, seeds_of
from worker.benchmark.record import FULL


def rounds_of(curves: dict[str, list[list[float]]], full: float = 0.9) -> pd.DataFrame:
    """A tidy table: for each strategy and seed the Dice of each round."""
    rows = [
        {
            "strategy": strategy,
            "seed": seed,
            "round": number,
            "labelled": 10 * number,
            "pool": 100,
            "foreground_pixels": 50 * number,
            "batch": 10,
            "batch_blank": 4,
            "batch_cases": 3,
            "labelled_cases": 3 * number,
            "nearest": 1.5,
            "dice_slice": dice,
            "dice_case": dice,
            "seconds_train": 1.0,
            "seconds_score": 0.5,
            "dice_low": dice - 0.1,
            "dice_high": dice + 0.05,
            "hd95_mm": 10 * (1 - dice),
            "nsd": dice,
            "lesion_sensitivity": math.nan,
            "false_lesions": 2.0 + seed,
            "ece": 0.1,
            "dice_by_class": f"{dice:.4f} {dice / 2:.4f}",
        }
        for strategy, seeds in curves.items()
        for seed, curve in enumerate(seeds)
        for number, dice in enumerate(curve, start=1)
    ]
    whole = {**rows[0], "strategy": FULL, "round": 0, "labelled": 100, "foreground_pixels": 500}
    rows.append({**whole, "dice_case": full, "dice_slice": full})
    return pd.DataFrame(rows)


BETTER = [[0.2, 0.6, 0.9], [0.2, 0.62, 0.95], [0.2, 0.61, 0.91]]
WORSE = [[0.2, 0.4, 0.5], [0.2, 0.43, 0.52], [0.2, 0.4, 0.55]]


def test_minutes_are_what_was_drawn_and_corrected():
    rounds = rounds_of({"ours": [[0.2, 0.4, 0.6]], "theirs": [[0.2, 0.5, 0.6]]}).assign(
        batch_outline=20.0, validation=0, collapses=0
    )
    # A batch: a blank look, and a suggestion of which 10 sides of 20 have to change.
    selected = pd.DataFrame(
        [
            {
                "strategy": name,
                "seed": 0,
                "round": number,
                "outline": outline,
                "suggested_pixels": suggested,
                "to_change": to_change,
            }
            for name, more in (("ours", 1), ("theirs", 3))
            for number in (1, 2)
            for outline, suggested, to_change in [(0, 0, 0), *[(20, 9, 10)] * more]
        ]
    )
    effort = Effort(slice_seconds=30, pixel_seconds=1.5, clear_seconds=100)
    found = with_minutes(rounds, selected, effort, shrink=2).set_index(["strategy", "round"])
    # Ten slices at first, with 20 sides in all, each two pixels long: 300 s + 60 s.
    assert found.loc[("ours", 1), "minutes"] == pytest.approx(6)
    # Then 30 s, and 30 s + 30 s for each that is corrected.
    assert found.loc["ours", "minutes"].tolist() == pytest.approx([6, 7.5, 9])
    assert found.loc["theirs", "minutes"].tolist() == pytest.approx([6, 9.5, 13])
    assert math.isnan(found.loc[(FULL, 0), "minutes"])
    # Compared up to the 9 minutes that both have spent.
    areas = statistics.areas(found.reset_index(), "dice_case", "minutes")
    assert areas.loc[0, "ours"] == pytest.approx(0.4)
    assert areas.loc[0, "theirs"] == pytest.approx((0.2 + 0.2 + 0.3 * 3 / 3.5) / 2)
    # Tables of before outlines were kept do not say.
    older = with_minutes(rounds, selected[["strategy", "seed", "round"]], effort, 2)
    assert older["minutes"].isna().all()
    assert statistics.areas(older, "dice_case", "minutes").isna().all(axis=None)


def test_seeds_that_divide_the_same_cases_are_less_sure():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.05, 0.05, 10)
    usual = stats.ttest_1samp(differences, 0).pvalue
    corrected = statistics.resampled_p(differences, 0.3)
    assert corrected > 2 * usual
    # Without a test share nothing is corrected.
    assert statistics.resampled_p(differences, 0.0) == pytest.approx(usual)


def test_few_seeds_find_large_effects_alone():
    assert statistics.least_effect(10) == pytest.approx(0.996, abs=0.005)
    assert statistics.least_effect(5) > 1.5
    assert math.isnan(statistics.least_effect(1))


def test_what_validation_needs_labelled_is_on_the_axis():
    rounds = rounds_of({"better": BETTER}).assign(validation=[96, 95, 97] * 3 + [96])
    assert sorted(set(statistics.runs_of(rounds)["labelled"])) == [106, 116, 126]
    assert statistics.labels_to_baseline(rounds, "dice_case") == {"better": 126}
    table = tables.learning_table(rounds, "dice_case")
    assert list(table.columns)[1:4] == ["106 (106%)", "116 (116%)", "126 (126%)"]


def test_the_area_is_the_trapezoid_over_the_range():
    found = statistics.areas(rounds_of({"a": [[0.0, 1.0, 1.0]]}), "dice_case")
    assert found.loc[0, "a"] == pytest.approx((0.5 + 1.0) / 2)


def test_a_run_that_is_not_finished_counts_nowhere():
    table = rounds_of({"a": BETTER, "b": [WORSE[0], WORSE[1][:2], WORSE[2]]})
    assert statistics.areas(table, "dice_case")["b"].count() == 2


def test_paired_tests_agree_with_scipy_and_are_corrected_over_their_family():
    by_seed = statistics.areas(rounds_of({"a": BETTER, "b": WORSE, "c": WORSE}), "dice_case")
    found = statistics.paired_tests(by_seed, [("a", "b"), ("a", "c"), ("b", "c")], "all")
    expected = stats.ttest_rel(by_seed["a"], by_seed["b"]).pvalue
    assert found["p"][0] == pytest.approx(expected)
    # The third pair is the same twice: no test, and no part in the correction.
    assert found["p_holm"][0] == pytest.approx(2 * expected)
    assert math.isnan(found["p"][2])
    differences = by_seed["a"] - by_seed["b"]
    assert found["effect"][0] == pytest.approx(differences.mean() / differences.std(ddof=1))


def test_the_penalty_matrix_counts_significant_rounds_after_the_first():
    matrix = statistics.penalty_matrix(rounds_of({"a": BETTER, "b": WORSE}), "dice_case")
    assert matrix.loc["a", "b"] == 1.0
    assert matrix.loc["b", "a"] == 0.0


def test_foreground_efficiency_finds_the_rate_again():
    ceiling, alpha = 0.9, 5.0
    share = np.array([0, 50, 100, 150]) / 500
    curve = (ceiling - (ceiling - 0.1) * np.exp(-alpha * share)).tolist()
    found = statistics.foreground_efficiency(rounds_of({"a": [curve]}, full=0.9), "dice_case")
    assert found["a"] == pytest.approx(alpha, rel=0.01)


def test_labels_to_the_baseline_or_a_slash():
    table = rounds_of({"random": BETTER, "entropy": WORSE})
    assert statistics.labels_to_baseline(table, "dice_case") == {"random": 30, "entropy": None}
    learning = tables.learning_table(table, "dice_case").set_index("strategy")
    assert learning.loc["random"].tolist() == ["0.2000", "0.6100", "0.9200", "0.9200", "30 (30.0%)"]
    assert learning.loc["entropy"].iloc[-1] == "/"


def test_beyond_dice_is_of_the_last_round_and_of_all_labels():
    rounds = rounds_of({"random": [[0.2, 0.6], [0.2, 0.8]]})
    found = tables.beyond_table(rounds).set_index("strategy")
    assert list(found.index) == ["random", FULL]
    last = found.loc["random"]
    assert (last["Dice per case"], last["95 % over test cases"]) == ("0.700", "0.600 to 0.750")
    # Two seeds, 4 and 2 mm: t of one degree of freedom is 12.706, times a standard error of 1.
    assert last["HD95, mm"] == "3.0 ± 12.7"
    assert last["lesions found"] == "–"
    assert last["false lesions a case"].startswith("2.50")
    by_class = tables.class_table(rounds).set_index("strategy")
    assert by_class.loc["random", "class 1"].startswith("0.7000")
    assert by_class.loc["random", "class 2"].startswith("0.3500")
    older = rounds.assign(dice_by_class="", **dict.fromkeys(("hd95_mm", "nsd", "ece"), math.nan))
    older["false_lesions"] = math.nan
    assert tables.beyond_table(older).empty
    assert tables.class_table(older).empty


def test_a_single_seed_has_means_and_no_tests():
    table = rounds_of({"random": BETTER[:1], "entropy": WORSE[:1]})
    tests = tables.comparison_table(table, "dice_case")
    assert set(tests["p (Holm)"]) == {"–"}
    assert "±" not in tables.area_table(table).to_string()
    assert figures.curves(table, "dice_case").startswith(b"\x89PNG")


def test_many_strategies_are_told_apart_in_panels():
    names = ["random", "random-foreground", "clasp", "core-set", "stochastic-batches"]
    names += [m + form for m in ("entropy", "bald") for form in ("", "-target", "-selective")]
    names += [f"mine-{n}" for n in range(8)]
    panels = figures._panels(names)
    assert set().union(*panels.values()) == set(names)
    assert max(len(drawn) for drawn in panels.values()) <= 7


def test_seeds_and_names_as_people_write_them():
    assert seeds_of("3") == (0, 1, 2)
    assert seeds_of("100-102,7") == (100, 101, 102, 7)
    assert names_of("b, paper,b", ("a", "b"), ()) == ("b", "a")
    with pytest.raises(ValueError, match="x"):
        seeds_of("x")
