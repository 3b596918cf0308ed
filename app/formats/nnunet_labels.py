"""What the labels of an nnU-Net v2 description mean: names, regions and the ignore label."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import VolumeInvalid
from app.formats.described import LONGEST_NAME, checked_classes, in_order

_IGNORE = "ignore"


@dataclass(frozen=True)
class NnUNetLabels:
    """Classes by the numbers in the label maps; ``ignore``: the number of what nobody labelled."""

    classes: list[str]
    ignore: int | None
    warnings: tuple[str, ...] = ()


def labels_of(named: Any, path: Path) -> NnUNetLabels:
    """From ``labels`` of dataset.json: numbers, or lists of numbers (regions), by name.

    A number in several regions is named after all of them: the label maps hold numbers, and each
    is a class of its own here. Raises ``VolumeInvalid``.
    """
    if not isinstance(named, Mapping):
        raise VolumeInvalid(f"{path} has no labels by name, as nnU-Net v2 has them")
    numbers = {str(name): _numbers(name, value, path) for name, value in named.items()}
    ignored = [name for name in numbers if name.casefold() == _IGNORE]
    ignore = None
    if ignored:
        ignore = numbers.pop(ignored[0])[0]
    regions = {name: values for name, values in numbers.items() if len(values) > 1}
    names: dict[int, str] = {}
    for name, values in numbers.items():
        if name in regions:
            continue
        if values[0] in names:
            raise VolumeInvalid(
                f"{path} gives the label {values[0]} two names, {names[values[0]]!r} and {name!r}: "
                "give each class a number of its own"
            )
        names[values[0]] = name
    for number in sorted({n for values in regions.values() for n in values} - names.keys()):
        names[number] = _together(number, regions, set(names.values()))
    classes = checked_classes(in_order(names, "labels", path), path)
    warnings: tuple[str, ...] = ()
    if regions:
        said = ", ".join(f"{n} {name!r}" for n, name in enumerate(classes))
        why = "its regions overlap, and a pixel has one class here"
        warnings = (f"{path}: {why}: the numbers of the label maps are taken, named {said}",)
    if ignore is not None and ignore < len(classes):
        raise VolumeInvalid(f"{path} uses the ignore label {ignore} for a class too: renumber it")
    return NnUNetLabels(classes, ignore, warnings)


def _numbers(name: Any, value: Any, path: Path) -> list[int]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(n, int) and 0 <= n < 2**31 for n in values):
        raise VolumeInvalid(
            f"{path} gives the label {name!r} as {str(value)[:80]}: nnU-Net v2 has names with "
            "numbers from 0 up, or lists of them; in a Decathlon task it is the other way round"
        )
    return [int(n) for n in values]


def _together(number: int, regions: Mapping[str, list[int]], taken: set[str]) -> str:
    """The name of a number by all regions that it is in."""
    name = " + ".join(region for region, values in regions.items() if number in values)
    if name in taken or len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 12]} ({number})"
    return name
