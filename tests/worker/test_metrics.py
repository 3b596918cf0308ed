"""What predictions come to, by hand: surfaces, lesions, calibration, intervals, and what counts."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from worker.segmentation.frames import Sample
from worker.segmentation.metrics.meter import Meter


def slices_of(case: str, expected: np.ndarray, spacing=(1.0, 1.0, 1.0), first=0) -> list[Sample]:
    """A case's slices from its classes (D, H, W); what they show does not matter here."""
    return [
        Sample(case, first + n, np.zeros((1, *marks.shape), np.float32), marks, spacing)
        for n, marks in enumerate(expected.astype(np.uint8))
    ]


def sure(predicted: np.ndarray, classes: int = 2, p: float = 1.0) -> torch.Tensor:
    """Probabilities (N, C, H, W): ``p`` of the predicted class, the rest shared."""
    hot = torch.nn.functional.one_hot(torch.as_tensor(predicted.astype(np.int64)), classes)
    found = hot.permute(0, 3, 1, 2).float()
    return found * p + (1 - found) * (1 - p) / (classes - 1)


def measured(predicted: np.ndarray, expected: np.ndarray, classes: int = 2, **how) -> dict:
    """All figures of a single case."""
    spacing = how.pop("spacing", (1.0, 1.0, 1.0))
    meter = Meter(classes, **how)
    meter.add(sure(predicted, classes), slices_of("a", expected, spacing))
    return meter.result()


def blank(depth: int = 4, side: int = 8) -> np.ndarray:
    return np.zeros((depth, side, side), np.uint8)


def test_dice_in_both_forms():
    meter = Meter(2)
    square, half, nothing = (blank(1, 4) for _ in range(3))
    square[0, :2], half[0, :1] = 1, 1
    meter.add(sure(half), slices_of("a", square))  # 2 · 4 / (4 + 8)
    meter.add(sure(nothing), slices_of("a", nothing, first=1))  # empty and empty: 1
    meter.add(sure(square), slices_of("b", nothing))  # all wrong: 0
    found = meter.result()
    assert found["dice_slice"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["dice_case"] == pytest.approx((2 / 3 + 0) / 2)
    assert (found["slices"], found["cases"]) == (3, 2)
    assert found["by_case"]["a"]["dice"] == [0.6667]


def test_classes_are_told_apart_and_their_mean_is_the_whole():
    expected, predicted = blank(2), blank(2)
    expected[0, 0, :4], expected[1, 1, :2] = 1, 2
    predicted[0, 0, :2], predicted[1, 1, :2] = 1, 2
    found = measured(predicted, expected, classes=4)
    assert [c["dice_case"] for c in found["classes"]] == pytest.approx([2 / 3, 1, 1])
    # Slice by slice: class 1 is 2/3 and 1, class 2 is 1 and 1.
    assert [c["dice_slice"] for c in found["classes"]] == pytest.approx([5 / 6, 1, 1])
    # No mask has class 3, and it was not predicted: right, but it says so.
    assert [c["labelled_cases"] for c in found["classes"]] == [1, 1, 0]
    assert found["classes"][2]["hd95_mm"] is None
    for figure in ("dice_case", "dice_slice"):
        assert found[figure] == pytest.approx(np.mean([c[figure] for c in found["classes"]]))


@pytest.mark.parametrize(
    ("moved", "distance"), [((0, 0, 2), 2 * 0.5), ((0, 3, 0), 3 * 1.5), ((2, 0, 0), 2 * 5.0)]
)
def test_distances_are_in_millimetres_along_each_axis(moved, distance):
    expected, predicted = blank(), blank()
    expected[1, 2, 2] = 1
    predicted[tuple(np.array([1, 2, 2]) + moved)] = 1
    how = {"spacing": (5.0, 1.5, 0.5)}
    found = measured(predicted, expected, **how)
    assert found["hd95_mm"] == pytest.approx(distance)
    assert found["nsd"] == (1.0 if distance <= 2 else 0.0)
    assert measured(predicted, expected, tolerance_mm=distance, **how)["nsd"] == 1.0


def test_hd95_forgives_one_voxel_in_twenty_one_and_surface_dice_counts_it():
    expected, predicted = blank(1, 20), blank(1, 20)
    expected[0, 0], predicted[0, 0] = 1, 1
    predicted[0, 9, 0] = 1
    found = measured(predicted, expected)
    assert found["hd95_mm"] == 0.0
    assert found["nsd"] == pytest.approx(40 / 41)
    # Of 22 distances, in order, the 95th percentile lies 0.95 of the way from the 20th to the 21st.
    predicted[0, 9, 9] = 1
    assert measured(predicted, expected)["hd95_mm"] == pytest.approx(0.95 * 9, abs=1e-3)


def test_the_inside_of_a_target_is_no_surface():
    expected, predicted = blank(5, 9), blank(5, 9)
    expected[1:4, 2:7, 2:7] = 1
    predicted[1:4, 2:7, 2:7] = 1
    predicted[2, 4, 4] = 0  # a hole in the middle: its six neighbours are a surface now
    found = measured(predicted, expected)
    # 3 × 5 × 5 voxels, of which 1 × 3 × 3 lie inside; all distances are 1 or 0.
    assert found["nsd"] == 1.0
    tight = measured(predicted, expected, tolerance_mm=0.5)
    surface, around = 75 - 9, 4
    # Of the hole's six neighbours two lie on the outer surface already.
    assert tight["nsd"] == pytest.approx(2 * surface / (2 * surface + around))


def test_a_missed_target_counts_the_worst_and_an_empty_case_nothing():
    target, nothing = blank(3, 5), blank(3, 5)
    target[1, 2, 2] = 1
    meter = Meter(2)
    meter.add(sure(nothing), slices_of("missed", target, (3.0, 1.0, 1.0)))
    meter.add(sure(target), slices_of("invented", nothing, (3.0, 1.0, 1.0)))
    meter.add(sure(nothing), slices_of("empty", nothing, (3.0, 1.0, 1.0)))
    meter.add(sure(target), slices_of("found", target, (3.0, 1.0, 1.0)))
    found = meter.result()
    diagonal = math.sqrt(6.0**2 + 4.0**2 + 4.0**2)
    assert found["by_case"]["missed"]["hd95_mm"] == [pytest.approx(diagonal, abs=1e-4)]
    assert found["by_case"]["empty"]["hd95_mm"] == [None]
    assert found["hd95_mm"] == pytest.approx(2 * diagonal / 3)
    assert found["nsd"] == pytest.approx(1 / 3)
    assert (found["surface_cases"], found["hd95_missed"]) == (3, 2)
    assert (found["lesions"], found["lesions_found"], found["false_lesions"]) == (2, 1, 0.25)


def test_lesions_are_joined_through_slices_and_found_by_one_voxel():
    expected, predicted = blank(5), blank(5)
    expected[0, 1, 1] = expected[1, 2, 2] = 1  # corners touch: one lesion
    expected[4, 6, 6] = 1
    predicted[1, 2, 2] = 1
    predicted[2, 0, 7] = predicted[3, 0, 7] = 1  # one false, through two slices
    predicted[4, 6, 4] = 1  # another: beside the second lesion, without touching it
    found = measured(predicted, expected)
    assert (found["lesions"], found["lesions_found"], found["false_lesions"]) == (2, 1, 2.0)
    assert found["lesion_sensitivity"] == 0.5
    # One prediction over both lesions finds both.
    everything = np.ones_like(expected)
    found = measured(everything, expected)
    assert (found["lesions_found"], found["false_lesions"]) == (2, 0.0)


def test_surfaces_and_lesions_need_a_volume_and_say_how_many_there_were():
    target = blank(3)
    target[:, 2:5, 2:5] = 1
    meter = Meter(2)
    meter.add(sure(target), slices_of("whole", target))
    with_gap = [s for s in slices_of("gap", target) if s.index != 1]
    meter.add(sure(target[:2]), with_gap)
    meter.add(sure(target), slices_of("unplaced", target, spacing=None))
    found = meter.result()
    assert (found["cases"], found["surface_cases"], found["lesion_cases"]) == (3, 1, 2)
    assert "hd95_mm" not in found["by_case"]["gap"]
    assert found["by_case"]["unplaced"]["hd95_mm"] == [None]
    assert found["by_case"]["unplaced"]["lesions"] == [1]


def test_slices_may_come_in_any_order_and_from_several_networks():
    rng = np.random.default_rng(1)
    expected, predicted = (rng.integers(0, 3, (4, 9, 9)).astype(np.uint8) for _ in range(2))
    whole = measured(predicted, expected, classes=3)
    parts = Meter(3)
    samples = slices_of("a", expected)
    for n in (2, 0, 3, 1):
        parts.add(sure(predicted[n : n + 1], 3), [samples[n]])
    assert parts.result() == whole


def test_padding_counts_nowhere():
    rng = np.random.default_rng(2)
    expected, predicted = (rng.integers(0, 2, (3, 7, 5)).astype(np.uint8) for _ in range(2))
    padded = np.ones((3, 16, 16), np.uint8)
    padded[:, :7, :5] = predicted
    meter = Meter(2)
    meter.add(sure(padded), slices_of("a", expected))
    assert meter.result() == measured(predicted, expected)


def test_calibration_is_of_foreground_pixels():
    expected, predicted = blank(1), blank(1)
    expected[0, 0, :3], predicted[0, 0, :4] = 1, 1  # three right, one wrong
    p = sure(predicted, p=0.9)
    expected[0, 5, 5] = 1  # missed, at probability 0.6 for background
    p[0, :, 5, 5] = torch.tensor([0.6, 0.4])
    meter = Meter(2)
    meter.add(p, slices_of("a", expected))
    # Four pixels at 0.9 of which 3/4 are right, one at 0.6 that is not.
    assert meter.result()["ece"] == pytest.approx((4 * abs(0.75 - 0.9) + 0.6) / 5, abs=1e-4)
    assert measured(blank(), blank())["ece"] is None


def test_intervals_are_over_cases_and_agree_with_scipy():
    rng = np.random.default_rng(3)
    meter = Meter(2, surfaces=False)
    for n in range(12):
        expected, predicted = (rng.random((2, 3, 8, 8)) < 0.3 + 0.04 * n).astype(np.uint8)
        meter.add(sure(predicted), slices_of(f"case-{n}", expected))
    found = meter.result()
    dice = np.array([case["dice"][0] for case in found["by_case"].values()])
    low, high = found["intervals"]["dice_case"]
    known = stats.bootstrap((dice,), np.mean, method="percentile", rng=rng).confidence_interval
    assert (low, high) == (pytest.approx(known.low, abs=0.01), pytest.approx(known.high, abs=0.01))
    assert found["dice_case"] == pytest.approx(dice.mean(), abs=1e-4)
    assert low < found["dice_case"] < high
    assert found["intervals"] == meter.result()["intervals"]
    low, high = found["intervals"]["ece"]
    assert low < found["ece"] < high


def test_a_single_case_has_no_interval_and_json_takes_what_is_kept():
    target = blank()
    target[1, 1, 1] = 1
    found = measured(target, target)
    assert set(found["intervals"].values()) == {None}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    empty = Meter(3).result()
    assert empty["cases"] == 0
    assert json.loads(json.dumps(empty, allow_nan=False)) == empty


def test_without_surfaces_the_rest_is_the_same():
    rng = np.random.default_rng(4)
    expected, predicted = (rng.integers(0, 2, (3, 8, 8)).astype(np.uint8) for _ in range(2))
    plain = measured(predicted, expected, surfaces=False)
    whole = measured(predicted, expected)
    assert not {"hd95_mm", "nsd", "lesions"} & set(plain)
    assert {k: plain[k] for k in ("dice_case", "dice_slice", "ece")} == {
        k: whole[k] for k in ("dice_case", "dice_slice", "ece")
    }


@settings(max_examples=25, deadline=None)
@given(arrays(np.uint8, (3, 6, 6), elements=st.integers(0, 2)))
def test_a_perfect_prediction_is_perfect(expected):
    found = measured(expected, expected, classes=3)
    assert found["dice_case"] == found["dice_slice"] == 1.0
    if expected.any():
        assert (found["hd95_mm"], found["nsd"], found["ece"]) == (0.0, 1.0, 0.0)
        assert (found["lesion_sensitivity"], found["false_lesions"]) == (1.0, 0.0)
    else:
        assert found["hd95_mm"] is found["nsd"] is found["lesion_sensitivity"] is None
