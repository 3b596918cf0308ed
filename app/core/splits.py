"""What a case is for. Splits are by case, never by slice, and seeded by the case's name."""

import hashlib
from collections.abc import Collection, Iterable
from enum import StrEnum

from app.core.errors import InvalidInput


class Split(StrEnum):
    """What a case is for."""

    POOL = "pool"
    VALIDATION = "validation"
    TEST = "test"


def _ordered(names: Iterable[str], seed: int) -> list[str]:
    """By a hash of the name, so that a name keeps its place as others come."""
    return sorted(names, key=lambda n: hashlib.sha256(f"{seed}/{n}".encode()).digest())


def assign_splits(
    names: Iterable[str], validation: float, test: float, seed: int
) -> dict[str, Split]:
    """A split for each case, by fractions, seeded: the same names always fall the same way.

    Raises ``InvalidInput`` for fractions that leave no pool.
    """
    if not 0 <= validation + test < 1 or validation < 0 or test < 0:
        raise InvalidInput(
            f"validation {validation} and test {test} must be fractions that leave a pool"
        )
    ordered = _ordered(names, seed)
    n_test, n_validation = round(test * len(ordered)), round(validation * len(ordered))
    splits = dict.fromkeys(ordered, Split.POOL)
    splits |= dict.fromkeys(ordered[:n_test], Split.TEST)
    splits |= dict.fromkeys(ordered[n_test : n_test + n_validation], Split.VALIDATION)
    return splits


def held_out_cases(cases: set[str], seed: int, learned: Collection[str] = ()) -> set[str]:
    """A seeded fifth of the cases, at least one of two or more; those ``learned`` from last.

    A case that is held out tends to stay so as others come, so that Dice values of successive
    rounds are of much the same cases.
    """
    known = set(learned)
    ordered = sorted(_ordered(cases, seed), key=lambda case: case in known)
    return set(ordered[: max(1, len(ordered) // 5)]) if len(ordered) > 1 else set()
