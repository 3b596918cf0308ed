"""One meter for all figures of a set of labelled slices, fed as predictions stream by.

Dice comes in two forms, always named: ``dice_slice`` is the mean over slices, ``dice_case`` the
mean over cases of the Dice of all the evaluated slices of a case together. Both average over the
foreground classes; where neither prediction nor mask has a class, its Dice is 1. What the other
figures mean stands in ``volumes`` and ``calibration``, their intervals in ``bootstrap``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from worker.segmentation.frames import Sample
from worker.segmentation.metrics.calibration import BINS, binned
from worker.segmentation.metrics.summary import CaseFigures, summary
from worker.segmentation.metrics.volumes import (
    TOLERANCE_MM,
    Classes,
    Outlined,
    Spacing,
    VolumeFigures,
    volume_figures,
    volume_of,
)

Counts = npt.NDArray[np.int64]


@dataclass
class _Case:
    """What is kept of a case: ``counts`` (3, K) are pixels predicted, expected and both."""

    counts: Counts
    bins: npt.NDArray[np.float64]
    slice_dice: list[npt.NDArray[np.float64]] = field(default_factory=list)
    outlined: list[Outlined] = field(default_factory=list)
    spacing: Spacing | None = None


class Meter:
    """Adds up what predictions come to, case by case; K = ``classes`` − 1 foreground classes.

    Cases may come in any order and in parts, also predicted by several networks, as in
    cross-validation; each slice once. ``surfaces``: keep what surfaces and lesions need, the
    outlined pixels of every slice; without, these figures are left out.
    """

    def __init__(
        self, classes: int, surfaces: bool = True, tolerance_mm: float = TOLERANCE_MM
    ) -> None:
        self._classes = classes
        self._surfaces = surfaces
        self._tolerance_mm = tolerance_mm
        self._cases: dict[str, _Case] = {}

    def add(self, probability: Tensor, samples: Sequence[Sample]) -> None:
        """Count a batch: probabilities (N, C, H, W), padded or not, and the N labelled samples."""
        confidences, classes = probability.float().max(dim=1)
        for sample, confidence, predicted in zip(
            samples, confidences.cpu().numpy(), classes.byte().cpu().numpy(), strict=True
        ):
            if sample.classes is None:
                raise ValueError("evaluation needs masks")
            height, width = sample.size
            self._add(
                sample, sample.classes, confidence[:height, :width], predicted[:height, :width]
            )

    def _add(
        self,
        sample: Sample,
        expected: Classes,
        confidence: npt.NDArray[np.float32],
        predicted: Classes,
    ) -> None:
        kept = self._cases.setdefault(
            sample.case,
            _Case(np.zeros((3, self._classes - 1), np.int64), np.zeros((3, BINS))),
        )
        counts = _counts(predicted, expected, self._classes)
        kept.counts += counts
        kept.slice_dice.append(_dice(counts))
        kept.bins += binned(confidence, predicted, expected)
        if self._surfaces:
            kept.outlined.append(Outlined.of(sample.index, predicted, expected))
            kept.spacing = sample.spacing

    def result(self) -> dict[str, Any]:
        """All figures, as they are kept with a model: see ``summary``."""
        found = {name: self._figures(case) for name, case in self._cases.items()}
        return summary(found, self._classes - 1, self._tolerance_mm if self._surfaces else None)

    def _figures(self, case: _Case) -> CaseFigures:
        return CaseFigures(
            dice=_dice(case.counts),
            labelled=case.counts[1] > 0,
            slice_dice=np.sum(case.slice_dice, axis=0),
            slices=len(case.slice_dice),
            bins=case.bins,
            volume=self._volume(case),
        )

    def _volume(self, case: _Case) -> list[VolumeFigures] | None:
        volume = volume_of(case.outlined) if case.outlined else None
        if volume is None:
            return None
        predicted, expected = volume
        return [
            volume_figures(predicted == c, expected == c, case.spacing, self._tolerance_mm)
            for c in range(1, self._classes)
        ]


def _counts(predicted: Classes, expected: Classes, classes: int) -> Counts:
    """Pixels (3, K) of each foreground class: predicted, expected, both."""
    pairs = np.bincount(
        expected.ravel().astype(np.int64) * classes + predicted.ravel(), minlength=classes**2
    ).reshape(classes, classes)
    return np.stack([pairs.sum(axis=0), pairs.sum(axis=1), pairs.diagonal()])[:, 1:]


def _dice(counts: Counts) -> npt.NDArray[np.float64]:
    """Dice (K,) of pixels (3, K); 1 where there is nothing to find and nothing was found."""
    predicted, expected, both = counts
    sizes = predicted + expected
    found: npt.NDArray[np.float64] = np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0)
    return found
