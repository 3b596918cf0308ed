"""What descriptions of exported data sets have in common: gaps in words, splits, ways back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.core.rescale import Rescale
from app.core.splits import Split
from app.formats.writer import UNLABELLED, About, ExportedCase


def remarks_on(case: ExportedCase, instead: str) -> list[str]:
    """What is to be told of a written volume: places that no slice has, and a tilt.

    ``instead``: what is at such places.
    """
    frame = case.frame
    found = []
    if case.missing:
        found.append(
            f"there is no slice at {in_ranges(case.missing)} of the {frame.depth} places of its "
            f"volume, counted from 0 in the order of the case: {instead} there"
        )
    if not frame.placed and not frame.own:
        found.append("where it lies is not known: it is written as it is shown, 1 mm a pixel")
    if frame.placed and frame.sheared:
        away = np.linalg.norm((frame.affine - frame.upright)[:3, 2]) * (frame.depth - 1)
        found.append(
            f"its slices are tilted: the affine (sform) holds that; programs that take no tilt, "
            f"such as those on ITK, show the last slice {away:.3g} mm beside its place"
        )
    return found


def in_ranges(numbers: Sequence[int]) -> str:
    """Rising numbers in words: 3, 7 to 9."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in parts)


def slices_of(case: ExportedCase) -> dict[str, Any]:
    """Which slices of the written volume have a label, and which are no slices at all.

    Indices are those of the file, along ``slice_axis`` of its voxels; those of the case begin
    with ``first_index``, in the file's order or against it.
    """
    frame = case.frame
    found: dict[str, Any] = {
        "slice_axis": frame.axes[2],
        "labelled_slices": sorted(frame.index(case.place(n)) for n in case.labels.labelled),
    }
    if case.missing:
        found["missing_slices"] = sorted(frame.index(place) for place in case.missing)
    if frame.first:
        found["first_index"] = frame.first
    return found


class OwnDescription:
    """``sfumato.json``: what our own reader takes back that a format has no place for."""

    def __init__(self, about: About, format_: str) -> None:
        """``format_``: the name of the format that it lies beside."""
        self._found: dict[str, Any] = {
            "format": format_,
            "name": about.project,
            "classes": list(about.classes),
            "channels": list(about.channels),
            "ignore": UNLABELLED,
            "splits": {},
            "cases": {},
        }

    def add(self, case: ExportedCase, facts: dict[str, Any]) -> None:
        """Note a case's split and what is to be known of it."""
        self._found["splits"][case.name] = case.split.value
        self._found["cases"][case.name] = facts

    def write(self, path: Path) -> None:
        """Write it."""
        path.write_text(json.dumps(self._found, indent=1, ensure_ascii=False), encoding="utf-8")


def rescale_of(case: ExportedCase, about: About) -> dict[str, Any]:
    """By channel, the way from stored integers to values: one, or by index where they differ."""
    found: dict[str, Any] = {}
    for name, channel in zip(about.channels, case.channels, strict=True):
        ways = channel.rescale
        if len(set(ways)) == 1:
            found[name] = _way(ways[0])
        else:
            pairs = zip(case.indices, ways, strict=True)
            found[name] = {"by_index": {str(index): _way(way) for index, way in pairs}}
    return found


def _way(way: Rescale) -> dict[str, Any]:
    kept = {"offset": way.offset, "slope": way.slope, "intercept": way.intercept}
    return kept | ({"unit": way.unit} if way.unit else {})


# What other formats call our splits.
SHORT_SPLIT = {Split.POOL: "train", Split.VALIDATION: "val", Split.TEST: "test"}
