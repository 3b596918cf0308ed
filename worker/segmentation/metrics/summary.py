"""The figures of all cases as they are kept with a model: means, intervals, and case by case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.segmentation.metrics.bootstrap import Interval, calibration_interval, interval
from worker.segmentation.metrics.calibration import calibration_error
from worker.segmentation.metrics.volumes import VolumeFigures

Values = npt.NDArray[np.float64]
# Digits that figures are kept with.
_DIGITS = 4


@dataclass(frozen=True)
class CaseFigures:
    """What one case came to, by foreground class (K,).

    ``labelled``: whether any mask of the case has the class; ``slice_dice``: summed over slices;
    ``volume``: for each class, None where the case's slices make up no volume.
    """

    dice: Values
    labelled: npt.NDArray[np.bool_]
    slice_dice: Values
    slices: int
    bins: Values
    volume: list[VolumeFigures] | None


@dataclass(frozen=True)
class _Ratio:
    """A figure as Σ sums / Σ counts over cases, which a mean over cases is too."""

    sums: Values
    counts: Values

    @property
    def value(self) -> float | None:
        total = self.counts.sum()
        return float(self.sums.sum() / total) if total else None

    @property
    def interval(self) -> list[float] | None:
        return _pair(interval(self.sums, self.counts))


def summary(
    cases: Mapping[str, CaseFigures], classes: int, tolerance_mm: float | None
) -> dict[str, Any]:
    """Figures over all classes, then of each in ``classes``, and of each case in ``by_case``.

    - ``dice_case``, ``dice_slice``, over ``cases`` and ``slices``;
    - ``ece``: calibration error over foreground pixels;
    - ``hd95_mm``, ``nsd``: means over the ``surface_cases`` that have them (of each case first
      over its classes); ``hd95_missed`` of these count the worst HD95, one mask being empty;
    - ``lesions``, ``lesions_found``: summed over the ``lesion_cases``; ``lesion_sensitivity``
      their ratio; ``false_lesions``: mean a case;
    - ``intervals``: 95 % of each of these, by bootstrap over cases;
    - of a class also ``labelled_cases``: in how many its masks are.

    What has no value is None. Without ``tolerance_mm`` no surfaces and lesions were asked for.
    """
    found = list(cases.values())
    bins = np.array([case.bins for case in found])
    over_all = _figures(found, range(classes), tolerance_mm is not None)
    if found:
        over_all["ece"] = _known(float(calibration_error(bins.sum(axis=0))))
        over_all["intervals"]["ece"] = _pair(calibration_interval(bins))
    return {
        **over_all,
        "slices": sum(case.slices for case in found),
        "cases": len(found),
        "nsd_tolerance_mm": tolerance_mm,
        "classes": [
            {
                **_figures(found, [c], tolerance_mm is not None),
                "labelled_cases": sum(bool(case.labelled[c]) for case in found),
            }
            for c in range(classes)
        ],
        "by_case": {name: _of_case(case) for name, case in cases.items()},
    }


def _figures(
    cases: Sequence[CaseFigures], classes: Sequence[int], surfaces: bool
) -> dict[str, Any]:
    """Means over cases of the means over classes, with intervals."""
    which = list(classes)
    ratios = {
        "dice_case": _Ratio(
            np.array([case.dice[which].mean() for case in cases]), np.ones(len(cases))
        ),
        "dice_slice": _Ratio(
            np.array([case.slice_dice[which].mean() for case in cases]),
            np.array([float(case.slices) for case in cases]),
        ),
    }
    counts: dict[str, int] = {}
    if surfaces:
        volumes = [None if c.volume is None else [c.volume[k] for k in which] for c in cases]
        ratios |= {
            "hd95_mm": _mean_of([_mean([v.hd95_mm for v in one or []]) for one in volumes]),
            "nsd": _mean_of([_mean([v.nsd for v in one or []]) for one in volumes]),
            "lesion_sensitivity": _Ratio(
                np.array([float(sum(v.lesions_found for v in one or [])) for one in volumes]),
                np.array([float(sum(v.lesions for v in one or [])) for one in volumes]),
            ),
            "false_lesions": _Ratio(
                np.array([float(sum(v.false_lesions for v in one or [])) for one in volumes]),
                np.array([float(one is not None) for one in volumes]),
            ),
        }
        lesions = ratios["lesion_sensitivity"]
        counts = {
            "surface_cases": int(ratios["hd95_mm"].counts.sum()),
            "hd95_missed": sum(any(v.missed for v in one or []) for one in volumes),
            "lesions": int(lesions.counts.sum()),
            "lesions_found": int(lesions.sums.sum()),
            "lesion_cases": int(ratios["false_lesions"].counts.sum()),
        }
    return {
        **{name: ratio.value for name, ratio in ratios.items()},
        **counts,
        "intervals": {name: ratio.interval for name, ratio in ratios.items()},
    }


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def _mean_of(values: Sequence[float]) -> _Ratio:
    """The mean over the cases that have a value."""
    there = np.array(values, dtype=np.float64)
    return _Ratio(np.nan_to_num(there), (~np.isnan(there)).astype(np.float64))


def _of_case(case: CaseFigures) -> dict[str, Any]:
    """A case by its classes, so that two models can be compared case by case."""
    kept: dict[str, Any] = {
        "dice": [_known(float(value)) for value in case.dice],
        "slices": case.slices,
        "ece": _known(float(calibration_error(case.bins))),
    }
    if case.volume is not None:
        kept |= {
            "hd95_mm": [_known(v.hd95_mm) for v in case.volume],
            "nsd": [_known(v.nsd) for v in case.volume],
            "lesions": [v.lesions for v in case.volume],
            "lesions_found": [v.lesions_found for v in case.volume],
            "false_lesions": [v.false_lesions for v in case.volume],
        }
    return kept


def _known(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else round(value, _DIGITS)


def _pair(found: Interval | None) -> list[float] | None:
    return None if found is None else [round(value, _DIGITS) for value in found]
