"""The stopping hint and the area under the budget curve, by hand."""

import pytest

from app.loop.stopping import Point, area_under_budget_curve, stopping_hint

RISING = [Point(50, 0.4), Point(100, 0.6), Point(150, 0.7), Point(200, 0.75)]


def test_a_rising_curve_goes_on():
    hint = stopping_hint(RISING, threshold=0.01, rounds=3)
    assert not hint.stop
    assert hint.gain_per_100_labels == pytest.approx(100 * 0.35 / 150)
    assert [e.gain_per_100_labels for e in hint.evidence] == pytest.approx([0.4, 0.2, 0.1])


def test_a_flat_curve_says_so_with_its_figures():
    flat = [*RISING, Point(250, 0.751), Point(300, 0.75), Point(350, 0.752)]
    hint = stopping_hint(flat, threshold=0.01, rounds=3)
    assert hint.stop
    assert "150 labels" in hint.reason
    assert "0.750 to 0.752" in hint.reason


def test_too_few_models_or_no_new_labels_are_no_reason_to_stop():
    assert "2 more models" in stopping_hint(RISING[:2], 0.01, 3).reason
    same = [Point(50, 0.4), Point(50, 0.4)]
    hint = stopping_hint(same, 0.01, 1)
    assert not hint.stop
    assert hint.evidence[0].gain_per_100_labels is None


def test_the_area_is_the_mean_over_labels():
    assert area_under_budget_curve([Point(0, 0.0), Point(10, 1.0), Point(30, 1.0)]) == (
        pytest.approx((5 + 20) / 30)
    )
    assert area_under_budget_curve([Point(5, 0.3)]) is None
    assert area_under_budget_curve([]) is None
