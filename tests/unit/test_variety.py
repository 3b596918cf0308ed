"""Batches for variety: over cases, over places within them, over how slices look."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.core.variety import appearance, explore, reason_to_explore


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _alike(n: int) -> np.ndarray:
    return np.full((n, 64), 128, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (5, 900), (256, 8), (257, 31), (1000, 513)])
def test_a_thumbnail_is_the_same_in_bands_as_at_once(shape):
    pixels = _rng().integers(0, 65536, shape).astype(np.uint16)
    at_once = Image.fromarray(pixels.astype(np.float32)).resize((8, 8), Image.Resampling.BOX)
    grey = np.asarray(at_once)
    scale = 255 / max(float(grey.max()) - float(grey.min()), 1e-6)
    expected = ((grey - float(grey.min())) * scale).astype(np.uint8).ravel()
    np.testing.assert_array_equal(appearance(pixels), expected)


@pytest.mark.parametrize(
    ("labelled", "predicted", "words"),
    [
        (0, 500, "no labelled slice holds any target yet"),
        (0, 0, "no labelled slice holds any target yet"),
        (40, 0, "the model predicts no target anywhere in the pool"),
        (40, 1, None),
    ],
)
def test_why_a_batch_is_drawn_for_variety(labelled: int, predicted: int, words: str | None) -> None:
    assert reason_to_explore(labelled, predicted) == words


def test_every_case_gives_one_before_any_gives_two() -> None:
    cases = np.repeat(np.arange(5), 8)
    picked = explore(_alike(40), cases, np.tile(np.linspace(0, 1, 8), 5), 10, _rng())
    assert sorted(cases[picked[:5]]) == [0, 1, 2, 3, 4]
    assert sorted(cases[picked]) == sorted([*range(5)] * 2)


def test_cases_that_gave_labels_wait_for_the_others() -> None:
    cases = np.repeat(np.arange(3), 4)
    places = np.tile(np.linspace(0, 1, 4), 3)
    picked = explore(_alike(12), cases, places, 2, _rng(), taken=[0, 4])
    # One label of cases 0 and 1 each: case 2 comes first, then all have given one.
    assert cases[picked[0]] == 2
    assert not {0, 4} & set(picked)


def test_slices_that_look_alike_are_spread_over_the_case() -> None:
    places = np.linspace(0, 1, 9)
    picked = explore(_alike(9), np.zeros(9), places, 2, _rng(), taken=[0])
    assert picked == [8, 4]


def test_of_one_place_the_slice_that_looks_different_comes_first() -> None:
    looks = _alike(6)
    looks[4] = 0
    assert explore(looks, np.zeros(6), np.full(6, 0.5), 1, _rng(), taken=[0]) == [4]


def test_the_same_seed_draws_the_same_batch() -> None:
    looks = _rng(3).integers(0, 256, (30, 64)).astype(np.uint8)
    cases, places = np.arange(30) % 4, _rng(4).random(30)
    first = explore(looks, cases, places, 7, _rng(5))
    assert explore(looks, cases, places, 7, _rng(5)) == first


@given(n=st.integers(0, 25), k=st.integers(0, 30), cases=st.integers(1, 6), seed=st.integers(0, 99))
def test_always_as_many_distinct_slices_as_there_are(n: int, k: int, cases: int, seed: int) -> None:
    rng = _rng(seed)
    looks = rng.integers(0, 256, (n, 64)).astype(np.uint8)
    taken = rng.permutation(n)[: n // 3].tolist()
    picked = explore(looks, rng.integers(0, cases, n), rng.random(n), k, rng, taken=taken)
    assert len(picked) == min(k, n - len(taken))
    assert len(set(picked) | set(taken)) == len(picked) + len(taken)
