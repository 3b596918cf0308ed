"""What a case is, for a report."""

from dataclasses import dataclass

import numpy as np

from app.core.geometry import Plane, Spacing
from app.core.windows import CT_WINDOWS
from app.formats.case import CaseVolume, Classes


@dataclass(frozen=True)
class CaseFacts:
    """What a case is, for a report. ``missing``: places between its slices that are empty.

    ``classes``: numbers of those that its masks show, None without masks; ``low``, ``high``: of
    its values, in ``unit``; ``windows``: names under which it can be shown.
    """

    slices: int
    height: int
    width: int
    spacing: Spacing | None
    plane: Plane | None
    classes: tuple[int, ...] | None
    missing: int
    low: float
    high: float
    unit: str | None
    windows: tuple[str, ...]


def facts_of(volume: CaseVolume, classes: Classes | None) -> CaseFacts:
    """The facts of a case; ``classes`` (D, H, W) where its masks are wanted."""
    first = volume.channels[0]
    depth, height, width = first.pixels.shape
    ends = np.array(
        [
            first.rescale_of(n).values(np.array([plane.min(), plane.max()]))
            for n, plane in enumerate(first.pixels)
        ]
    )
    present = None
    if classes is not None:
        labelled = [n for n in range(depth) if n not in volume.unlabelled]
        present = tuple(int(n) for n in np.unique(classes[labelled]))
    unit = first.rescale_of(0).unit
    return CaseFacts(
        slices=depth,
        height=height,
        width=width,
        spacing=volume.geometry.spacing if volume.geometry else None,
        plane=volume.geometry.plane if volume.geometry else None,
        classes=present,
        missing=volume.index_of(depth - 1) - volume.index_of(0) + 1 - depth,
        low=float(ends.min()),
        high=float(ends.max()),
        unit=unit,
        windows=tuple(CT_WINDOWS) if unit == "HU" else (),
    )
