"""Who may see what: the division by case, and the guard that nothing leaks through it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from app.core.errors import SfumatoError
from app.core.splits import Split, assign_splits
from worker.benchmark.ground import Ground
from worker.benchmark.settings import GroundSettings


class Leakage(SfumatoError):
    """A test or validation slice could have been learned from."""


@dataclass(frozen=True)
class Division:
    """Slice numbers by use. Test slices touch nothing but the Dice."""

    pool: list[int]
    validation: list[int]
    test: list[int]


def divide(ground: Ground, settings: GroundSettings, seed: int) -> Division:
    """Divide by case, the same for every strategy of a seed. Raises ``Leakage``."""
    numbers = {case.name: n for n, case in enumerate(ground.cases)}
    splits = assign_splits(numbers, settings.validation, settings.test, seed)
    cases: dict[Split, list[int]] = defaultdict(list)
    for name, number in numbers.items():
        cases[splits[name]].append(number)
    division = Division(*(ground.slices_of(cases[s]) for s in Split))
    check_apart(ground, division)
    return division


def check_apart(ground: Ground, division: Division) -> None:
    """Fail if two splits share a case, or hold the same volume under two names."""
    users: dict[str, set[str]] = defaultdict(set)
    names: dict[str, set[str]] = defaultdict(set)
    for use, slices in vars(division).items():
        for number in {int(ground.case_of[n]) for n in slices}:
            case = ground.cases[number]
            users[case.digest].add(use)
            names[case.digest].add(case.name)
    for digest, uses in users.items():
        if len(uses) > 1:
            raise Leakage(
                f"the volume of {' and '.join(sorted(names[digest]))} is in "
                f"{' and '.join(sorted(uses))}: remove the copy from the data set"
            )


def check_selected(division: Division, labelled: Iterable[int]) -> None:
    """Fail if anything but pool slices was labelled, or a slice twice."""
    labelled = list(labelled)
    stray = set(labelled) - set(division.pool)
    if stray:
        raise Leakage(f"{len(stray)} slices outside the pool were asked for, such as {min(stray)}")
    if len(set(labelled)) < len(labelled):
        raise Leakage("a slice was asked for twice")
