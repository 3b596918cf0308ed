"""The five measures: numbers worked out by hand, and a naive float64 twin."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.acquisition import uncertainty


def binary(*foreground: float, dtype=torch.float32) -> torch.Tensor:
    """One picture of one row with these foreground probabilities, as (1, 2, 1, W)."""
    p = torch.tensor(foreground, dtype=torch.float64)
    return torch.stack([1 - p, p])[None, :, None].to(dtype)


@st.composite
def maps(draw):
    """Probabilities (N, C, H, W), some of them saturated or all zero in the foreground."""
    n, c = draw(st.integers(1, 3)), draw(st.integers(2, 5))
    h, w = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sharpness = draw(st.sampled_from([0.5, 3.0, 100.0]))
    logits = torch.from_numpy(rng.standard_normal((n, c, h, w)) * sharpness)
    probability = logits.softmax(1)
    if draw(st.booleans()):
        probability = torch.zeros_like(probability)
        probability[:, 0] = 1
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    return probability.to(dtype)


def naive(probability: torch.Tensor, pixel) -> np.ndarray:
    """Apply a plain Python function of one pixel's probabilities to each pixel."""
    values = probability.double().numpy()
    n, _, h, w = values.shape
    return np.array(
        [
            [[pixel([float(v) for v in values[i, :, y, x]]) for x in range(w)] for y in range(h)]
            for i in range(n)
        ]
    )


def naive_entropy(p: list[float]) -> float:
    return sum(-v * math.log(v) for v in p if v > 0)


def test_entropy_by_hand():
    found = uncertainty.entropy(binary(0.0, 0.5, 1.0, 0.25))[0, 0]
    assert found.tolist() == pytest.approx([0.0, math.log(2), 0.0, 0.562335144618808])


def test_entropy_of_a_certain_pixel_is_exactly_zero():
    assert uncertainty.entropy(binary(0.0, 1.0)).tolist() == [[[0.0, 0.0]]]


def test_least_confidence_by_hand():
    found = uncertainty.least_confidence(binary(0.0, 0.5, 1.0, 0.25))[0, 0]
    assert found.tolist() == pytest.approx([0.0, 0.5, 0.0, 0.25])


def test_margin_by_hand():
    found = uncertainty.margin(binary(0.0, 0.5, 1.0, 0.25))[0, 0]
    assert found.tolist() == pytest.approx([0.0, 1.0, 0.0, 0.5])
    three = torch.tensor([0.2, 0.5, 0.3])[None, :, None, None]
    assert uncertainty.margin(three).item() == pytest.approx(0.8)


def test_mutual_information_by_hand():
    # Two passes that are each certain and disagree: all of log 2 is disagreement.
    disagree = torch.stack([binary(0.0), binary(1.0)])
    assert uncertainty.mutual_information(disagree).item() == pytest.approx(math.log(2))
    # Two passes that are equally unsure: nothing is.
    agree = torch.stack([binary(0.5), binary(0.5)])
    assert uncertainty.mutual_information(agree).item() == 0.0


@settings(deadline=None)
@given(maps())
def test_the_measures_equal_their_naive_twins(probability):
    tolerance = {"rtol": 1e-6, "atol": 1e-7}
    for measure, pixel in (
        (uncertainty.entropy, naive_entropy),
        (uncertainty.least_confidence, lambda p: 1 - max(p)),
        (uncertainty.margin, lambda p: 1 - (sorted(p)[-1] - sorted(p)[-2])),
    ):
        found = measure(probability)
        assert found.dtype is (
            torch.float64 if probability.dtype is torch.float64 else torch.float32
        )
        np.testing.assert_allclose(found.double().numpy(), naive(probability, pixel), **tolerance)


@settings(deadline=None)
@given(maps(), st.integers(1, 4), st.integers(0, 1000))
def test_bald_equals_its_naive_twin_and_is_never_negative(probability, passes, seed):
    rng = torch.Generator().manual_seed(seed)
    shape = (passes, *probability.shape)
    stack = torch.randn(shape, generator=rng, dtype=torch.float64).softmax(2).float()
    found = uncertainty.mutual_information(stack)
    entropies = np.mean([naive(p, naive_entropy) for p in stack], axis=0)
    expected = naive(stack.double().mean(0), naive_entropy) - entropies
    np.testing.assert_allclose(found.numpy(), expected.clip(0), rtol=1e-6, atol=1e-6)
    assert (found >= 0).all()
