"""A model's scores: what it came to on sets of cases, of which ``by_case`` names each."""

from typing import Any

Scores = dict[str, Any]
# What is kept of each case, by its name: for comparing two models, not for looking at.
_BY_CASE = "by_case"
# Sets of cases that a model is measured on; the first that there is, it is judged by.
MEASURED_ON = ("test", "validation", "cross_validation")


def measured_on(scores: Scores) -> str | None:
    """Which of the sets a model is judged by; None where it was measured on none."""
    return next((name for name in MEASURED_ON if name in scores), None)


def without_cases(scores: Scores) -> Scores:
    """The same without what is kept of each case."""
    return {
        name: {k: v for k, v in part.items() if k != _BY_CASE} if isinstance(part, dict) else part
        for name, part in scores.items()
    }


def names_case(scores: Scores, case: str) -> bool:
    """Whether something is kept of that case."""
    parts = [part.get(_BY_CASE) for part in scores.values() if isinstance(part, dict)]
    return any(case in part for part in parts if part)


def without_case(scores: Scores, case: str) -> Scores:
    """The same without what is kept of one case; the means over cases stay."""

    def kept(part: Any) -> Any:
        if not isinstance(part, dict) or _BY_CASE not in part:
            return part
        return {**part, _BY_CASE: {k: v for k, v in part[_BY_CASE].items() if k != case}}

    return {name: kept(part) for name, part in scores.items()}
