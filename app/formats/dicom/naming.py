"""What the cases of a pile of DICOM files are called: by folders and numbers, never by words.

Descriptions of series and studies are free text that may name a patient.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from app.formats.dicom.sorting import Stack
from app.formats.files import name_of


def place_of(stack: Stack) -> Path:
    """The folder that a stack lies in; the nearest that holds all of it."""
    folders = {str(frame.path.parent) for frame in stack.frames}
    return Path(os.path.commonpath(sorted(folders)))


def names_of(stacks: Sequence[Stack], root: Path) -> list[str]:
    """A name for each stack, all different.

    The folder's where it holds one stack. Of several series, each adds its number (``_s3``), or
    where two have one number, letters of its UID; then what tells stacks of one series apart.
    """
    folders = [name_of(place_of(stack), root) for stack in stacks]
    series: dict[str, set[tuple[str, ...]]] = {}
    for folder, stack in zip(folders, stacks, strict=True):
        series.setdefault(folder, set()).add(stack.frames[0].series)
    numbers = Counter(
        (folder, number)
        for folder, number, _ in {
            (folder, stack.frames[0].series_number, stack.frames[0].series)
            for folder, stack in zip(folders, stacks, strict=True)
        }
    )
    names, often = [], Counter(folders)
    for folder, stack in zip(folders, stacks, strict=True):
        first, parts = stack.frames[0], [folder]
        if len(series[folder]) > 1:
            number = first.series_number
            alone = number is not None and numbers[folder, number] == 1
            parts.append(f"s{number}" if alone else f"s{_short(first.series)}")
        names.append("_".join([*parts, *(stack.parts if often[folder] > 1 else ())]))
    return _different(names)


def _short(series: tuple[str, ...]) -> str:
    """A few letters that are always the same for one series."""
    return hashlib.sha256("\0".join(series).encode()).hexdigest()[:6]


def _different(names: Sequence[str]) -> list[str]:
    """Names that are there more than once, numbered."""
    often, seen = Counter(names), Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name}_{seen[name]}" if often[name] > 1 else name)
    return found
