"""Single elements of a header: what is empty counts as absent, what makes no sense is named.

Messages name the element and the reason, never its value.
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import UID

from app.formats.dicom.quiet import attempt

Vector = npt.NDArray[np.float64]

# Millimetres and values beyond this are nobody's: a kilometre, ten times over.
_FARTHEST = 1e7
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


class Unclear(Exception):
    """An element that cannot be understood; the message names it without its value."""


class Incomplete(Unclear):
    """Pixels that are not there, or not all of them: no header can be fixed."""


def value_of(dataset: Dataset, keyword: str) -> Any:
    """The value of an element, None where it is absent or empty. Raises ``Unclear``."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return None
    # A value is converted when it is asked for, and then may raise anything.
    found = attempt(lambda: (dataset[tag].value,))
    if found is None:
        raise Unclear(f"{keyword} cannot be read")
    value = found[0]
    if value is None or (hasattr(value, "__len__") and not len(value)):
        return None
    return None if isinstance(value, str) and not value.strip(" \0") else value


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> Vector | None:
    """So many finite numbers, or as many as there are. Raises ``Unclear``."""
    value = value_of(dataset, keyword)
    if value is None:
        return None
    several = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    if all(one is None or one == "" for one in several):
        return None
    found = attempt(lambda: np.array([float(one) for one in several], dtype=np.float64))
    if found is None or (count is not None and len(found) != count):
        raise Unclear(f"{keyword} is not {_many(count)}")
    if not np.isfinite(found).all():
        raise Unclear(f"{keyword} is not finite")
    return found


def millimetres(dataset: Dataset, keyword: str, count: int) -> Vector | None:
    """So many lengths or directions. Raises ``Unclear``, also for what is out of this world."""
    found = numbers(dataset, keyword, count)
    if found is not None and np.abs(found).max() > _FARTHEST:
        raise Unclear(f"{keyword} lies out of all bounds")
    return found


def number(dataset: Dataset, keyword: str) -> float | None:
    """One finite number. Raises ``Unclear``."""
    found = numbers(dataset, keyword, 1)
    return None if found is None else float(found[0])


def whole(dataset: Dataset, keyword: str) -> int | None:
    """One whole number. Raises ``Unclear``."""
    found = number(dataset, keyword)
    if found is not None and found != int(found):
        raise Unclear(f"{keyword} is not a whole number")
    return None if found is None else int(found)


def optional(dataset: Dataset, keyword: str) -> float | None:
    """One number, or None where it is absent or makes no sense and nothing depends on it."""
    try:
        return number(dataset, keyword)
    except Unclear:
        return None


def text(dataset: Dataset, keyword: str) -> str:
    """A value as it is written, to compare it; never to be kept or shown."""
    value = value_of(dataset, keyword)
    if value is None:
        return ""
    return "\\".join(map(str, value)) if not isinstance(value, str) else value.strip(" \0")


def uid(dataset: Dataset, keyword: str) -> str | None:
    """A UID that may be kept: digits and dots. Anything else may be a person's name."""
    try:
        found = text(dataset, keyword)
    except Unclear:
        return None
    return found if len(found) <= 64 and _UID.fullmatch(found) else None


def uid_name(found: str | None) -> str:
    """What the standard calls a UID; empty for those that it does not know."""
    known = UID(found or "")
    return known.name if found and known.name != known else ""


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence, none where it is absent. Raises ``Unclear``."""
    value = value_of(dataset, keyword)
    if value is None:
        return []
    if isinstance(value, bytes | str) or not all(isinstance(one, Dataset) for one in value):
        raise Unclear(f"{keyword} is not a sequence")
    return list(value)


def _many(count: int | None) -> str:
    return "numbers" if count is None else "a number" if count == 1 else f"{count} numbers"
