"""Sentences say what the tests say, and warnings come where they must."""

import pytest

from tests.benchmark.test_statistics import BETTER, WORSE, rounds_of
from worker.benchmark import tables
from worker.benchmark.plainly import sentences, warnings_of


def rounds(**curves):
    return rounds_of(curves).assign(collapses=0)


def test_a_clear_difference_needs_no_warning_and_one_sentence():
    ours = [[0.2, 0.6 + n / 100, 0.9] for n in range(5)]
    theirs = [[0.2, 0.3 + n / 200, 0.5] for n in range(5)]
    table = rounds(entropy=ours, random=theirs)
    assert list(warnings_of(table)) == []
    (said,) = sentences(tables.comparisons(table, "dice_case"), "labelled")
    assert said.startswith("entropy is better than random at equal numbers of slices: +0.")
    assert "over 5 seeds" in said


def test_a_pair_is_spoken_of_once():
    table = rounds(entropy=BETTER, random=WORSE, clasp=BETTER)
    said = list(sentences(tables.comparisons(table, "dice_case"), "labelled"))
    names = {"entropy", "random", "clasp"}
    pairs = {frozenset(names.intersection(one.split(" at equal")[0].split())) for one in said}
    assert len(said) == len(pairs) == 3


def test_noise_is_called_noise():
    table = rounds(entropy=[[0.2, 0.4, 0.6], [0.2, 0.6, 0.5]], random=[[0.2, 0.5, 0.5]] * 2)
    said = " ".join(warnings_of(table))
    assert "All strategies are within noise: of 1 pairs none" in said
    assert "Every interval of a difference is wider" in said
    assert "So few seeds find differences from about" in said
    (sentence,) = list(sentences(tables.comparisons(table, "dice_case"), "minutes"))[:1]
    assert "cannot be told from" in sentence
    assert "at equal minutes" in sentence


@pytest.mark.parametrize("column", ["dice_case", "collapses"])
def test_a_network_that_predicts_nothing_is_named(column):
    table = rounds(entropy=BETTER, random=WORSE)
    table.loc[4, column] = 0.0 if column == "dice_case" else 3
    first = next(iter(warnings_of(table)))
    assert first.startswith("1 of 19 networks predict nothing")
    assert "entropy on seed 1" in first


def test_a_single_seed_shows_nothing():
    table = rounds(entropy=BETTER[:1], random=WORSE[:1])
    assert list(warnings_of(table)) == [
        "With a single seed no difference between strategies can be told from chance."
    ]
    assert all(
        "a single seed" in one
        for one in sentences(tables.comparisons(table, "dice_case"), "labelled")
    )
