"""A model's scores: what it came to on sets of cases, and what of it is kept case by case."""

from typing import Any

Scores = dict[str, Any]
# In each set of cases: what is kept of each, by its name, for comparing two models.
_BY_CASE = "by_case"
# Beside the sets: which member of an ensemble has not seen a case; the cases learned from.
_FOLDS, _LEARNED = "folds", "learned"
# Labelled slices that it could not learn from: case, index and why.
NOT_LEARNED = "not_learned"
# Sets of cases that a model is measured on; the first that there is, it is judged by.
MEASURED_ON = ("test", "validation", "cross_validation")


def measured_on(scores: Scores) -> str | None:
    """Which of the sets a model is judged by; None where it was measured on none."""
    return next((name for name in MEASURED_ON if name in scores), None)


def not_learned(scores: Scores) -> list[dict[str, Any]]:
    """The labelled slices that a model could not learn from, with the reason."""
    return list(scores.get(NOT_LEARNED, []))


def without_cases(scores: Scores) -> Scores:
    """The same without anything that is kept by the names of cases."""
    return {
        name: {k: v for k, v in part.items() if k != _BY_CASE} if name in MEASURED_ON else part
        for name, part in scores.items()
        if name not in (_FOLDS, _LEARNED, NOT_LEARNED)
    }


def names_case(scores: Scores, case: str) -> bool:
    """Whether something is kept of that case."""
    return without_case(scores, case) != scores


def without_case(scores: Scores, case: str) -> Scores:
    """The same without what is kept of one case; the means over cases stay."""

    def others(part: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in part.items() if name != case}

    kept = {
        name: {**part, _BY_CASE: others(part[_BY_CASE])}
        if name in MEASURED_ON and _BY_CASE in part
        else part
        for name, part in scores.items()
    }
    if _FOLDS in scores:
        kept[_FOLDS] = others(scores[_FOLDS])
    if _LEARNED in scores:
        kept[_LEARNED] = [name for name in scores[_LEARNED] if name != case]
    if NOT_LEARNED in scores:
        kept[NOT_LEARNED] = [one for one in scores[NOT_LEARNED] if one["case"] != case]
    return kept
