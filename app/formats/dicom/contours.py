"""RTSTRUCT as masks: closed contours filled on the slices that they lie in.

A pixel belongs to a contour if its centre lies inside by the even-odd rule: contours of one
region on one slice cut holes into each other. A centre exactly on an edge belongs to the side on
which row and column are larger, so regions that share an edge neither overlap nor leave a seam.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from app.core.errors import VolumeInvalid
from app.core.geometry import Geometry
from app.formats.dicom import kept
from app.formats.dicom.elements import Unclear, items, numbers, text, whole
from app.formats.dicom.header import read_header
from app.formats.dicom.marks import Marks
from app.formats.dicom.place import Arrangement
from app.formats.dicom.quiet import attempt

Plane = npt.NDArray[Any]
Points = npt.NDArray[np.floating[Any]]

# How far a contour may lie beside its slice, in slices.
_BESIDE = 0.1
# Edges that are looked at together.
_EDGES = 4096
_CLOSED = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR"})


def planes_of(marks: Marks, placed: Arrangement) -> Iterator[tuple[int, int, Plane]]:
    """For each region and slice: the slice in the stack, the number, where it is, bool (H, W).

    Raises ``VolumeInvalid`` for contours that lie in no slice, and images without a place.
    """
    header = attempt(lambda: read_header(marks.path, kept.MARKS))
    if header is None:
        raise VolumeInvalid(f"{marks.path} cannot be read: copy it again")
    if placed.geometry is None:
        raise VolumeInvalid(f"{marks.path} marks places, and its images do not say where they lie")
    try:
        for region in items(header.dataset, "ROIContourSequence"):
            number = whole(region, "ReferencedROINumber")
            if number not in marks.names or number is None:
                continue
            name = f"{marks.path}: the region {marks.names[number]!r}"
            slices: dict[int, Plane] = {}
            for contour in items(region, "ContourSequence"):
                if text(contour, "ContourGeometricType") not in _CLOSED:
                    continue
                slice_, inside = _filled(contour, placed.geometry, placed, name)
                slices[slice_] = slices[slice_] ^ inside if slice_ in slices else inside
            for slice_, where in slices.items():
                yield slice_, number, where
    except Unclear as unclear:
        reason = str(unclear)
    else:
        return
    raise VolumeInvalid(f"{marks.path}: {reason}: export it again")


def _filled(
    contour: Dataset, geometry: Geometry, placed: Arrangement, name: str
) -> tuple[int, Plane]:
    """A contour's slice, and the pixels inside."""
    data = numbers(contour, "ContourData")
    if data is None or len(data) % 3:
        raise Unclear("ContourData is not triples of numbers")
    points = data.reshape(-1, 3) * (-1, -1, 1)
    back = np.linalg.inv(geometry.affine)
    voxels = points @ back[:3, :3].T + back[:3, 3]
    index = round(float(np.median(voxels[:, 2])))
    beside = float(np.abs(voxels[:, 2] - index).max())
    if beside > _BESIDE:
        raise VolumeInvalid(f"{name} has a contour {beside:.3g} slices beside any slice")
    if index not in placed.indices:
        raise VolumeInvalid(f"{name} marks place {index}, where the series has no image")
    rows, columns, _ = placed.frames[0].size
    return placed.indices.index(index), filled(voxels[:, :2], rows, columns)


def filled(corners: Points, rows: int, columns: int) -> Plane:
    """Bool (rows, columns): pixel centres inside a polygon; corners (N, 2), column before row."""
    turns = np.zeros((rows, columns + 1), dtype=np.int64)
    following = np.roll(corners, -1, axis=0)
    for begin in range(0, len(corners), _EDGES):
        some = slice(begin, begin + _EDGES)
        _cross(turns, corners[some], following[some])
    # Each crossing turns all pixels from it on.
    inside: Plane = np.cumsum(turns[:, :columns], axis=1) % 2 == 1
    return inside


def _cross(turns: npt.NDArray[np.int64], begin: Points, end: Points) -> None:
    """Count at which pixel of each row edges are crossed; ``begin``, ``end``: (N, 2)."""
    rows, columns = turns.shape[0], turns.shape[1] - 1
    # Half open: a corner at a row's height counts for one of its two edges.
    first, last = np.sort([begin[:, 1], end[:, 1]], axis=0)
    low = np.clip(np.ceil(first), 0, rows).astype(np.int64)
    count = np.clip(np.ceil(last), 0, rows).astype(np.int64) - low
    edge = np.repeat(np.arange(len(begin)), count)
    row = low[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    (x, y), (x_end, y_end) = begin[edge].T, end[edge].T
    at = x + (row - y) * (x_end - x) / (y_end - y)
    np.add.at(turns, (row, np.clip(np.ceil(at), 0, columns).astype(np.int64)), 1)
