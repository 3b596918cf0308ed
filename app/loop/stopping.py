"""Whether more labels still help: a hint with its evidence, never a decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Point:
    """A point of the learning curve: labels, and Dice on the same cases as its neighbours."""

    labelled: int
    dice: float


@dataclass(frozen=True)
class Evidence:
    """One round of those that a hint is judged by."""

    labelled: int
    dice: float
    gain_per_100_labels: float | None


@dataclass(frozen=True)
class StoppingHint:
    """Whether more labels still help, in words and with the evidence."""

    stop: bool
    reason: str
    threshold_per_100_labels: float
    gain_per_100_labels: float | None
    evidence: list[Evidence]


def stopping_hint(points: Sequence[Point], threshold: float, rounds: int) -> StoppingHint:
    """Whether the last ``rounds`` rounds together gained less than ``threshold`` Dice per 100
    labels, in words and with the numbers. points: in the order of training.
    """
    recent = points[-rounds - 1 :]
    evidence = [
        Evidence(later.labelled, later.dice, _gain(earlier, later))
        for earlier, later in pairwise(recent)
    ]
    if len(recent) <= rounds:
        reason = f"{rounds + 1 - len(recent)} more models are needed to judge by {rounds} rounds"
        return StoppingHint(False, reason, threshold, None, evidence)
    gain = _gain(recent[0], recent[-1])
    if gain is None:
        reason = f"no labels came in the last {rounds} rounds"
        return StoppingHint(False, reason, threshold, None, evidence)
    said = (
        f"the last {rounds} rounds took {recent[-1].labelled - recent[0].labelled} labels and "
        f"moved Dice per case from {recent[0].dice:.3f} to {recent[-1].dice:.3f}: "
        f"{gain:+.4f} per 100 labels"
    )
    if gain < threshold:
        reason = f"{said}, below {threshold:g}: more labels may not be worth their time"
    else:
        reason = f"{said}, not below {threshold:g}: more labels still help"
    return StoppingHint(gain < threshold, reason, threshold, gain, evidence)


def _gain(earlier: Point, later: Point) -> float | None:
    labels = later.labelled - earlier.labelled
    return 100 * (later.dice - earlier.dice) / labels if labels > 0 else None


def area_under_budget_curve(points: Sequence[Point]) -> float | None:
    """Mean Dice over the labels given so far (trapezoids); None for fewer than two points."""
    width = points[-1].labelled - points[0].labelled if points else 0
    if width <= 0:
        return None
    steps = ((b.labelled - a.labelled) * (a.dice + b.dice) / 2 for a, b in pairwise(points))
    return sum(steps) / width
