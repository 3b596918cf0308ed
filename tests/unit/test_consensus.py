"""Readings into one mask: by hand, and as SimpleITK computes it."""

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from app.core.consensus import majority, staple


def readings(seed: int, readers: int, classes: int) -> list[np.ndarray]:
    """Blobs that each reader saw somewhere else, with noise of their own."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(8, 50, 2)
    noise = rng.normal(size=(classes, height, width))
    truth = ndimage.gaussian_filter(noise, (0, 3, 3)).argmax(axis=0)
    found = []
    for _ in range(readers):
        seen = np.roll(truth, rng.integers(-2, 3, 2), (0, 1))
        wrong = rng.random(seen.shape) < rng.uniform(0, 0.1)
        found.append(np.where(wrong, rng.integers(0, classes, seen.shape), seen).astype(np.uint8))
    return found


@pytest.mark.parametrize(("readers", "classes"), [(2, 2), (2, 4), (3, 2), (5, 2), (3, 3)])
def test_staple_is_what_itk_makes_of_it(readers, classes):
    for seed in range(20):
        drawn = readings(seed, readers, classes)
        images = [SimpleITK.GetImageFromArray(one) for one in drawn]
        theirs = SimpleITK.GetArrayFromImage(SimpleITK.MultiLabelSTAPLE(images, 0))
        assert np.array_equal(staple(drawn), theirs), seed


@pytest.mark.parametrize("readers", [2, 3, 4, 5])
def test_the_majority_is_what_itk_makes_of_it(readers):
    for seed in range(20):
        drawn = readings(seed, readers, 4)
        images = [SimpleITK.GetImageFromArray(one) for one in drawn]
        theirs = SimpleITK.GetArrayFromImage(SimpleITK.LabelVoting(images, 0))
        assert np.array_equal(majority(drawn), theirs), seed


def test_a_drawn_vote_is_background():
    two = [np.array([[1, 2]], np.uint8), np.array([[2, 2]], np.uint8)]
    assert majority(two).tolist() == [[0, 2]]


def test_staple_follows_the_reader_who_agrees_with_the_others():
    truth = np.zeros((20, 20), np.uint8)
    truth[5:15, 5:15] = 1
    poor = (np.random.default_rng(0).random(truth.shape) < 0.5).astype(np.uint8)
    assert np.array_equal(staple([truth, truth, poor]), truth)


def test_readers_who_only_see_background_see_background():
    empty = np.zeros((3, 4), np.uint8)
    assert not staple([empty, empty]).any()
    assert staple([empty, empty]).dtype == np.uint8
