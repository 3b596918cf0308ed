"""Whether more labels still help: a hint with its evidence, never a decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Point:
    """A point of the learning curve: labels, and Dice on the same cases as its neighbours."""

    labelled: int
    dice: float


def stopping_hint(points: Sequence[Point], threshold: float, rounds: int) -> dict[str, Any]:
    """Whether the last ``rounds`` rounds together gained less than ``threshold`` Dice per 100
    labels, in words and with the figures. points: in the order of training.
    """
    recent = points[-rounds - 1 :]
    evidence = [
        {
            "labelled": later.labelled,
            "dice": later.dice,
            "gain_per_100_labels": _gain(earlier, later),
        }
        for earlier, later in pairwise(recent)
    ]
    hint: dict[str, Any] = {
        "stop": False,
        "threshold_per_100_labels": threshold,
        "gain_per_100_labels": None,
        "evidence": evidence,
    }
    if len(recent) <= rounds:
        missing = rounds + 1 - len(recent)
        return hint | {"reason": f"{missing} more models are needed to judge by {rounds} rounds"}
    gain = _gain(recent[0], recent[-1])
    if gain is None:
        return hint | {"reason": f"no labels came in the last {rounds} rounds"}
    said = (
        f"the last {rounds} rounds took {recent[-1].labelled - recent[0].labelled} labels and "
        f"moved Dice per case from {recent[0].dice:.3f} to {recent[-1].dice:.3f}: "
        f"{gain:+.4f} per 100 labels"
    )
    if gain < threshold:
        verdict = f"{said}, below {threshold:g}: more labels may not be worth their time"
    else:
        verdict = f"{said}, not below {threshold:g}: more labels still help"
    return hint | {"stop": gain < threshold, "gain_per_100_labels": gain, "reason": verdict}


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
