"""DICOM SEG as masks, read by highdicom: each frame laid on the slice that it belongs to."""

from collections.abc import Iterator
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from app.core.errors import VolumeInvalid
from app.formats.dicom.elements import Unclear, items, uid, whole
from app.formats.dicom.frame import Place
from app.formats.dicom.groups import Groups, place_of
from app.formats.dicom.marks import Marks
from app.formats.dicom.place import Arrangement
from app.formats.dicom.quiet import attempt

Plane = npt.NDArray[Any]

# How far a frame may lie beside the slice that it marks, in pixels and in slices.
_BESIDE = 0.1
# How far spacings may differ, as a part, and directions.
_SPACED, _TURNED = 1e-3, 1e-3


def planes_of(marks: Marks, placed: Arrangement) -> Iterator[tuple[int, int | None, Plane]]:
    """For each frame: its slice in the stack, its segment's number, and where it is, bool (H, W).

    Of a label map a frame comes once for each segment in it. An empty frame of an object that
    is ``whole`` has no number. Raises ``VolumeInvalid`` for a SEG
    that lies otherwise than the images, or marks a slice that is not there.
    """
    found = attempt(lambda: hd.seg.segread(marks.path))
    if found is None:
        raise VolumeInvalid(f"{marks.path} cannot be read as a segmentation: export it again")
    shared = (items(found, "SharedFunctionalGroupsSequence") or [Dataset()])[0]
    try:
        frames = items(found, "PerFrameFunctionalGroupsSequence")
        for number, own in enumerate(frames, 1):
            groups = Groups(found, shared, own)
            plane = attempt(lambda n=number: found.get_stored_frame(n))  # type: ignore[misc]
            if plane is None:
                raise VolumeInvalid(f"{marks.path}: frame {number} cannot be decoded")
            if marks.whole or plane.any():
                slice_ = _slice_of(groups, plane, placed, f"{marks.path} frame {number}")
                if not plane.any():
                    yield slice_, None, plane
                    continue
                for segment, where in _by_segment(found, groups, plane, marks):
                    yield slice_, segment, where
    except Unclear as unclear:
        reason = str(unclear)
    else:
        return
    raise VolumeInvalid(f"{marks.path}: {reason}: export it again")


def _by_segment(
    found: Any, groups: Groups, plane: Plane, marks: Marks
) -> Iterator[tuple[int, Plane]]:
    kind = str(found.SegmentationType)
    if kind == "LABELMAP":
        for number in np.unique(plane[plane > 0]).tolist():
            yield number, plane == number
        return
    highest = 1 if kind == "BINARY" else whole(found, "MaximumFractionalValue") or 1
    if not np.isin(plane, (0, highest)).all():
        raise VolumeInvalid(
            f"{marks.path} holds fractions of pixels, which no mask can: export it as binary"
        )
    number = whole(groups.of("SegmentIdentificationSequence"), "ReferencedSegmentNumber")
    if number is None:
        raise Unclear("a frame says not which segment it is of")
    yield number, plane == highest


def _slice_of(groups: Groups, plane: Plane, placed: Arrangement, name: str) -> int:
    """The slice of the stack that a frame marks, by its place, else by what it refers to."""
    if plane.shape != placed.frames[0].size[:2]:
        rows, columns = plane.shape
        raise VolumeInvalid(f"{name} has {rows} × {columns} pixels, unlike the images it marks")
    place = place_of(groups)
    if placed.geometry is None or place is None:
        return _referred(groups, placed, name)
    first = placed.frames[0].place
    if first is None or not _lies_alike(place, first):
        raise VolumeInvalid(
            f"{name} is turned or spaced otherwise than the images it marks: resample it to them"
        )
    ras = np.array([*place.position[:2] * -1, place.position[2], 1.0])
    column, row, index = (np.linalg.inv(placed.geometry.affine) @ ras)[:3]
    beside = max(abs(column), abs(row), abs(index - round(index)))
    if beside > _BESIDE:
        raise VolumeInvalid(
            f"{name} lies up to {beside:.3g} pixels or slices beside the images it marks: "
            "resample it to them"
        )
    if round(index) not in placed.indices:
        raise VolumeInvalid(f"{name} marks place {round(index)}, where the series has no image")
    return placed.indices.index(round(index))


def _lies_alike(place: Place, image: Place) -> bool:
    turned = np.abs(place.orientation - image.orientation).max() > _TURNED
    if turned or place.spacing is None or image.spacing is None:
        return not turned
    return bool((np.abs(place.spacing / image.spacing - 1) <= _SPACED).all())


def _referred(groups: Groups, placed: Arrangement, name: str) -> int:
    """Of images that say no place: the one that a frame names as its source."""
    source = (items(groups.of("DerivationImageSequence"), "SourceImageSequence") or [Dataset()])[0]
    instance, number = uid(source, "ReferencedSOPInstanceUID"), None
    if instance is not None:
        number = whole(source, "ReferencedFrameNumber")
    for slice_, frame in enumerate(placed.frames):
        if frame.ids.instance == instance is not None and frame.number in (None, number):
            return slice_
    raise VolumeInvalid(f"{name} does not say which image of the series it marks")
