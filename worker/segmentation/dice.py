"""Dice, in the two forms that are always reported together and named.

``dice_slice``: the mean over slices, where an empty prediction of an empty mask counts 1.
``dice_case``: the mean over cases of the Dice of the whole volume. Both average over the
foreground classes; a class that neither prediction nor mask has in a case counts 1.
"""

from collections import defaultdict

import torch
from torch import Tensor


class DiceMeter:
    """Adds up intersections and sizes as batches stream by."""

    def __init__(self, classes: int) -> None:
        self._foreground = classes - 1
        self._slice_scores: list[float] = []
        self._cases: dict[str, Tensor] = defaultdict(lambda: torch.zeros(2, self._foreground))

    def add(self, predicted: Tensor, expected: Tensor, cases: list[str]) -> None:
        """Count a batch: class indices (N, H, W) predicted and expected, and each one's case."""
        for n, case in enumerate(cases):
            counts = torch.zeros(2, self._foreground)
            for c in range(1, self._foreground + 1):
                ours, theirs = predicted[n] == c, expected[n] == c
                counts[0, c - 1] = (ours & theirs).sum()
                counts[1, c - 1] = ours.sum() + theirs.sum()
            self._slice_scores.append(_dice(counts))
            self._cases[case] += counts

    def result(self) -> dict[str, float | int]:
        """``dice_slice``, ``dice_case`` and how many of each they average over."""
        case_scores = [_dice(counts) for counts in self._cases.values()]
        return {
            "dice_slice": _mean(self._slice_scores),
            "dice_case": _mean(case_scores),
            "slices": len(self._slice_scores),
            "cases": len(case_scores),
        }


def _dice(counts: Tensor) -> float:
    intersection, sizes = counts
    scores = torch.where(sizes > 0, 2 * intersection / sizes.clamp(min=1), 1.0)
    return float(scores.mean())


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
