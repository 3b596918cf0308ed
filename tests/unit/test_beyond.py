"""Strategies beyond the paper: who is asked for, by hand and by invariants."""

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.variety import appearance, k_centre_of_appearances
from worker.acquisition.diversity import inverse_temperature, k_centre, mean_nearest, power_rank
from worker.acquisition.pool import PoolScores, pool_scores
from worker.acquisition.strategies import STRATEGIES
from worker.segmentation.scoring import RegionSums


def pool(n: int = 40, classes: int = 2, progress: float = 0.0, seed: int = 0) -> PoolScores:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    return PoolScores(
        total=draw(n),
        target=draw(n),
        boundary=draw(n),
        by_class=draw(n, classes - 1),
        foreground=(draw(n) > 0.7).long(),
        features=draw(n, 5),
        labelled_features=draw(6, 5),
        cases=torch.arange(n) // 5,
        progress=progress,
    )


def picks(name: str, scores: PoolScores, k: int, seed: int = 0) -> list[int]:
    return [pick.index for pick in STRATEGIES[name].select(scores, k, seed)]


def test_random_foreground_takes_predicted_foreground_first():
    scores = pool()
    predicted = set(scores.foreground.nonzero().ravel().tolist())
    chosen = STRATEGIES["random-foreground"].select(scores, len(predicted) + 3, 1)
    assert {p.index for p in chosen[: len(predicted)]} == predicted
    assert [p.stream for p in chosen] == ["foreground"] * len(predicted) + ["random"] * 3
    few = [picks("random-foreground", scores, 3, seed) for seed in (1, 1, 2)]
    assert few[0] == few[1] != few[2]


def test_foreground_areas_go_round_the_cases_and_the_areas():
    scores = pool()
    chosen = STRATEGIES["foreground-areas"].select(scores, 6, 1)
    assert [p.stream for p in chosen] == ["random", "foreground", "boundary"] * 2
    assert all(scores.foreground[p.index] > 0 for p in chosen if p.stream != "random")
    # No case gives a second slice before the others with something to give have given one.
    of_any = [
        int(scores.cases[p.index])
        for p in STRATEGIES["foreground-areas"].select(
            replace(scores, foreground=torch.ones(len(scores))), len(scores.cases.unique()), 1
        )
    ]
    assert sorted(of_any) == scores.cases.unique().tolist()
    # With no target in sight any slice will do, and all are given when all are asked for.
    nothing = replace(scores, foreground=torch.zeros(len(scores)))
    every = STRATEGIES["foreground-areas"].select(nothing, len(scores) + 9, 1)
    assert {p.stream for p in every} == {"random"}
    assert sorted(p.index for p in every) == list(range(len(scores)))


def test_foreground_areas_prefer_large_targets_as_areas_do():
    foreground = torch.tensor([0, 1, 9])
    scores = replace(pool(n=3), foreground=foreground, cases=torch.zeros(3, dtype=torch.long))
    seconds = Counter(picks("foreground-areas", scores, 2, seed)[1] for seed in range(2000))
    # Of the second pick: in proportion to 1 and 9, unless the first, of any area, took one.
    expected = (0 + 1 + 1 / 10) / 3
    assert seconds[1] / 2000 == pytest.approx(expected, abs=0.04)
    assert seconds[0] == 0


def test_clasp_gives_two_thirds_to_the_classes_and_one_to_the_total():
    scores = pool(n=60, classes=3, progress=1.0)
    streams = Counter(p.stream for p in STRATEGIES["clasp"].select(scores, 12, 0))
    assert streams == {"class 1": 4, "class 2": 4, "total": 4}


def test_clasp_late_in_the_run_is_nearly_the_hard_ranking_and_early_is_not():
    # Scores a factor e apart: noise of scale 1/100 cannot turn them round.
    values = torch.exp(torch.arange(30.0))
    scores = PoolScores(values, values, values, by_class=values[:, None], progress=1.0)
    assert set(picks("clasp", scores, 9)) == set(range(21, 30))
    early = PoolScores(values, values, values, by_class=values[:, None], progress=0.0)
    assert any(set(picks("clasp", early, 9, seed)) != set(range(21, 30)) for seed in range(5))


def test_the_noise_fades_from_one_to_a_hundredth():
    assert [inverse_temperature(p) for p in (0, 0.5, 1, 7)] == pytest.approx([1, 10, 100, 100])


def test_the_power_ranking_draws_in_proportion_to_the_score():
    """With β = 1 a slice comes first as often as its share of all scores says."""
    scores = torch.tensor([1.0, 2.0, 5.0, 0.0])
    first = Counter(int(power_rank(scores, 1.0, seed)[0]) for seed in range(4000))
    assert first[2] / 4000 == pytest.approx(5 / 8, abs=0.03)
    assert first[0] / 4000 == pytest.approx(1 / 8, abs=0.03)
    assert first[3] == 0


def test_a_stochastic_batch_is_the_best_of_many_and_not_the_top():
    scores = pool(n=200)
    chosen = picks("stochastic-batches", scores, 10)
    mean = scores.total[chosen].mean()
    assert scores.total.mean() < mean < scores.total.topk(10).values.mean()


def test_k_centre_by_hand():
    line = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    assert k_centre(line, 3) == [0, 3, 2]
    assert k_centre(line, 2, seen=torch.tensor([[10.0]])) == [0, 2]
    assert k_centre(line, 9) == [0, 3, 2, 1]
    # The far slice is of the case that has given one already: the other case comes first.
    assert k_centre(line, 3, groups=torch.tensor([0, 1, 1, 0])) == [0, 2, 3]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31 - 1))
def test_each_centre_is_the_farthest_from_those_before(n, k, seed):
    rng = np.random.default_rng(seed)
    features = torch.from_numpy(rng.standard_normal((n, 3)))
    order = k_centre(features, k)
    assert len(set(order)) == len(order) == min(n, k)
    distances = torch.cdist(features.float(), features.float())
    for taken, later in pairwise([order[:i] for i in range(1, len(order) + 1)]):
        nearest = distances[:, taken].amin(dim=1)
        assert nearest[later[-1]] == pytest.approx(float(nearest.max()), abs=1e-5)


def test_core_set_keeps_away_from_what_is_labelled():
    features = torch.tensor([[0.0], [0.1], [5.0]])
    nothing = torch.zeros(3)
    scores = PoolScores(
        nothing, nothing, nothing, features=features, labelled_features=torch.zeros(1, 1)
    )
    assert picks("core-set", scores, 1) == [2]


@pytest.mark.parametrize("k", [3, 8])
def test_selective_diverse_spreads_over_cases_within_the_shortlist(k):
    scores = pool()
    chosen = picks("entropy-selective-diverse", scores, k)
    shortlist = picks("entropy-selective", scores, 3 * k)
    assert set(chosen) <= set(shortlist)
    cases = scores.cases[shortlist].unique()
    assert len(scores.cases[chosen].unique()) == min(k, len(cases))


def test_selective_power_with_no_noise_left_is_selective():
    values = torch.exp(torch.arange(20.0))
    scores = PoolScores(values, values, values.flip(0), progress=1.0)
    assert picks("entropy-selective-power", scores, 6) == picks("entropy-selective", scores, 6)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(list(STRATEGIES)),
    st.integers(0, 15),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.booleans(),
)
def test_all_give_distinct_slices_whatever_the_pool(name, k, n, progress, blank):
    scores = pool(n, classes=3, progress=progress)
    if blank:
        zeros = torch.zeros(n)
        scores = PoolScores(
            zeros,
            zeros,
            zeros,
            torch.zeros(n, 2),
            zeros,
            torch.zeros(n, 5),
            torch.zeros(0, 5),
            scores.cases,
        )
    chosen = picks(name, scores, k)
    assert len(set(chosen)) == len(chosen) == min(k, n)
    assert chosen == picks(name, scores, k)


def test_what_a_strategy_needs_and_did_not_get_is_named():
    nothing = torch.zeros(4)
    for name, what in (("clasp", "sums by class"), ("core-set", "features")):
        with pytest.raises(ValueError, match=what):
            picks(name, PoolScores(nothing, nothing, nothing), 2)


def test_the_mean_form_divides_by_the_pixels_of_each_region():
    sums = [RegionSums("entropy", 8.0, 6.0, 0.0, 4, 3, 0, [2.0, 4.0])]
    found = pool_scores(sums, "mean")
    assert [float(v) for v in (found.total, found.target, found.boundary)] == [2.0, 2.0, 0.0]
    assert found.by_class.tolist() == [[0.5, 1.0]]
    assert pool_scores(sums, "sum").by_class.tolist() == [[2.0, 4.0]]


def test_redundancy_by_hand():
    batch, labelled = torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0]])
    assert mean_nearest(batch, labelled, torch.ones(1)) == pytest.approx((1 + 3) / 2)
    assert mean_nearest(batch, labelled[:0], torch.tensor([2.0])) == pytest.approx(2.0)
    assert math.isnan(mean_nearest(batch[:1], labelled[:0], torch.ones(1)))


def test_the_first_batch_is_varied_and_reproducible():
    rng = np.random.default_rng(0)
    alike = [np.add.outer(np.arange(32), np.arange(32)) + rng.random((32, 32)) for _ in range(20)]
    other = -np.add.outer(np.arange(32), np.arange(32))
    looks = np.stack([appearance(picture) for picture in [*alike, other]])
    assert looks.shape == (21, 64)
    draws = [k_centre_of_appearances(looks, 2, np.random.default_rng(s)) for s in (3, 3, 4)]
    assert draws[0] == draws[1]
    assert all(20 in draw for draw in draws)
    after = k_centre_of_appearances(looks, 1, np.random.default_rng(0), looks[:1])
    assert after == [20]
    assert sorted(k_centre_of_appearances(looks, 50, np.random.default_rng(0))) == list(range(21))
