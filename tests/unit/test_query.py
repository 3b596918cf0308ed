"""Regions, aggregation, ranking and the joined query (eqs. 1 to 5)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_uncertainty import binary, maps
from worker.acquisition import query, regions, uncertainty

scores_of = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.5]), min_size=1, max_size=12)


def test_the_target_region_by_hand():
    assert regions.target_region(binary(0.0, 0.1, 0.11, 0.9)).tolist() == [
        [[False, False, True, True]]
    ]
    assert regions.target_region(binary(0.3, 0.9), threshold=0.5).tolist() == [[[False, True]]]


def test_the_boundary_region_by_hand():
    found = regions.boundary_region(binary(0.0, 0.41, 0.5, 0.59, 0.61, 1.0))
    assert found.tolist() == [[[False, True, True, True, False, False]]]


def test_any_foreground_class_makes_a_target_or_a_boundary():
    p = torch.tensor([[0.48, 0.52, 0.0], [0.94, 0.03, 0.03], [0.05, 0.05, 0.9]])
    p = p.T[None, :, None]
    assert regions.target_region(p).tolist() == [[[True, False, True]]]
    assert regions.boundary_region(p).tolist() == [[[True, False, False]]]


def test_aggregation_by_hand():
    values = torch.tensor([[[1.0, 2.0, 4.0]], [[8.0, 16.0, 32.0]]])
    region = torch.tensor([[[True, False, True]], [[False, False, False]]])
    assert query.aggregate(values).tolist() == [7.0, 56.0]
    assert query.aggregate(values, region).tolist() == [5.0, 0.0]
    assert query.aggregate(values, region, "mean").tolist() == [2.5, 0.0]
    with pytest.raises(ValueError, match="median"):
        query.aggregate(values, region, "median")


@settings(deadline=None)
@given(maps(), st.floats(0.01, 0.9), st.floats(0.01, 0.5), st.sampled_from(["sum", "mean"]))
def test_the_regional_scores_equal_a_naive_twin(probability, threshold, width, reduction):
    """Eqs. 1 to 4 with loops in float64 over the same numbers."""
    measured = uncertainty.entropy(probability)
    target = query.aggregate(measured, regions.target_region(probability, threshold), reduction)
    boundary = query.aggregate(measured, regions.boundary_region(probability, width), reduction)
    # The thresholds are those that float32 can hold, as the comparison sees them.
    exact = torch.float64 if probability.dtype is torch.float64 else torch.float32
    limit, half = (float(torch.tensor(v, dtype=exact)) for v in (threshold, width))
    p, u = probability.to(exact), measured.double()
    for n in range(len(p)):
        sums = {"target": [], "boundary": []}
        for y in range(p.shape[2]):
            for x in range(p.shape[3]):
                foreground = [p[n, c, y, x] for c in range(1, p.shape[1])]
                if any(float(v) > limit for v in foreground):
                    sums["target"].append(float(u[n, y, x]))
                if any(float((v - 0.5).abs()) < half for v in foreground):
                    sums["boundary"].append(float(u[n, y, x]))
        for found, values in ((target[n], sums["target"]), (boundary[n], sums["boundary"])):
            expected = sum(values) / (max(len(values), 1) if reduction == "mean" else 1)
            np.testing.assert_allclose(float(found), expected, rtol=1e-6, atol=1e-7)


def test_a_sum_of_bfloat16_values_is_exact_enough():
    values = torch.ones(1, 64, 64, dtype=torch.bfloat16)
    assert query.aggregate(values).tolist() == [4096.0]
    assert query.aggregate(values, reduction="mean").tolist() == [1.0]


def test_top_k_takes_the_highest_in_order():
    assert query.top_k(torch.tensor([0.1, 3.0, 2.0]), 2, seed=0).tolist() == [1, 2]
    assert query.top_k(torch.tensor([1.0]), 5, seed=0).tolist() == [0]
    assert query.top_k(torch.zeros(0), 5, seed=0).tolist() == []


def test_ties_are_broken_by_the_seed_and_not_by_the_index():
    ties = torch.zeros(50)
    assert query.top_k(ties, 50, seed=1).tolist() != list(range(50))
    assert query.top_k(ties, 50, seed=1).tolist() == query.top_k(ties, 50, seed=1).tolist()
    assert query.top_k(ties, 50, seed=1).tolist() != query.top_k(ties, 50, seed=2).tolist()


def test_eq_5_takes_turns_and_skips_what_is_taken():
    target = torch.tensor([9.0, 8.0, 7.0, 0.0, 0.0])
    boundary = torch.tensor([9.0, 1.0, 0.0, 8.0, 0.0])
    total = torch.zeros(5)
    # target: 0, 1, 2 …; boundary: 0, 3, 1 …: by turns 0, (0 taken) 3, 1, (3, 1 taken) …
    found = query.selective_top_k(target, boundary, total, 4, seed=0).tolist()
    assert found[:3] == [0, 3, 1]
    order = query.selective_order(target, boundary, total, 3, seed=0)
    assert order == [(0, "target"), (3, "boundary"), (1, "target")]


def test_where_both_regions_are_empty_total_uncertainty_decides():
    empty = torch.zeros(4)
    total = torch.tensor([1.0, 4.0, 3.0, 2.0])
    assert query.selective_top_k(empty, empty, total, 4, seed=0).tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize("k", [-1, -5])
def test_a_negative_k_is_refused(k):
    with pytest.raises(ValueError, match="negative"):
        query.top_k(torch.zeros(3), k, seed=0)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        query.top_k(torch.tensor([1.0, float("nan")]), 1, seed=0)


@settings(deadline=None)
@given(st.data(), scores_of, st.integers(0, 15), st.integers(0, 2**31 - 1))
def test_eq_5_gives_exactly_min_k_pool_distinct_slices(data, target, k, seed):
    n = len(target)
    same_length = st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=n, max_size=n)
    boundary, total = data.draw(same_length), data.draw(same_length)
    found = query.selective_top_k(
        torch.tensor(target), torch.tensor(boundary), torch.tensor(total), k, seed
    ).tolist()
    assert len(found) == len(set(found)) == min(k, n)
    assert found == naive_eq_5(target, boundary, total, k, seed)


def naive_eq_5(target, boundary, total, k, seed):
    """Sort two lists by (score, total, permutation) and deal from them in turn."""
    place = torch.randperm(len(target), generator=torch.Generator().manual_seed(seed)).tolist()
    key = {index: n for n, index in enumerate(place)}

    def ranked(scores):
        return sorted(range(len(scores)), key=lambda i: (-scores[i], -total[i], key[i]))

    lists, chosen, turn = [ranked(target), ranked(boundary)], [], 0
    while len(chosen) < min(k, len(target)):
        chosen.append(next(i for i in lists[turn % 2] if i not in chosen))
        turn += 1
    return chosen
