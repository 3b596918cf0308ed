"""Label maps of volumes as classes: whole numbers, on the voxels of their image."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from app.core.errors import VolumeInvalid
from app.core.geometry import Plane
from app.formats import planes
from app.formats.case import Classes
from app.formats.planes import Affine
from app.formats.volume_file import VolumeFile, scaled
from app.formats.volumes import open_volume

# Millimetres that the corners of two files may lie apart: the rounding of their headers.
_APART = 1e-3
# A number that was scaled on its way is whole up to this.
_WHOLE = 1e-3


@dataclass(frozen=True)
class LabelRules:
    """How label maps of a data set are read.

    ``ignore``: the number of what nobody has labelled; ``trust_voxels``: they lie on their images
    voxel by voxel, whatever their headers say.
    """

    ignore: int | None = None
    trust_voxels: bool = False


@dataclass(frozen=True)
class LabelMap:
    """Classes (D, H, W), the places of slices that they say nothing of, and what to report."""

    classes: Classes
    unlabelled: frozenset[int] = frozenset()
    warnings: tuple[str, ...] = ()


def read_label_map(path: Path, image: VolumeFile, plane: Plane, rules: LabelRules) -> LabelMap:
    """The label map of an image that is cut in ``plane``.

    Raises ``VolumeInvalid`` for one of another place or shape, and for what is no class.
    """
    labels = open_volume(path)
    if labels.colour or labels.volumes > 1:
        what = "colours" if labels.colour else f"{labels.volumes} volumes"
        raise VolumeInvalid(
            f"{path} has the shape {labels.shape} and holds {what}: a label map has one class a "
            "voxel; write it as one volume of whole numbers"
        )
    warnings = []
    if rules.trust_voxels:
        if labels.size != image.size:
            raise VolumeInvalid(
                f"{path} has the shape {labels.shape}, its image {image.path} has {image.shape}: "
                "they cannot be laid on each other voxel by voxel"
            )
        axes = image.axes
        if apart(labels, image, plane) > _APART:
            warnings.append(f"{path}: its header puts it elsewhere than its image; trusted")
    else:
        check_place(labels, image, plane, "label map")
        axes = labels.axes
    voxels = labels.load()
    marks = planes.to_stack(voxels.numbers[..., 0], axes, plane)
    if (voxels.slope, voxels.intercept) != (1.0, 0.0):
        marks = scaled(marks, voxels)
    return as_classes(marks, path, rules.ignore, tuple(warnings))


def as_classes(
    marks: planes.Voxels, path: Path, ignore: int | None = None, warnings: tuple[str, ...] = ()
) -> LabelMap:
    """Numbers (D, H, W) as classes. Raises ``VolumeInvalid`` for what is no class.

    Slices in which something is to be ignored are unlabelled: what was drawn there is not all.
    """
    if marks.dtype.kind == "f":
        whole = np.rint(marks)
        away = np.abs(marks - whole)
        if away.max() > _WHOLE:
            number = float(marks.reshape(-1)[int(away.argmax())])
            raise VolumeInvalid(
                f"{path} holds the value {number:g}: a label map has whole numbers from 0 to 255"
            )
        marks = whole
    unlabelled: frozenset[int] = frozenset()
    if ignore is not None:
        ignored = marks == ignore
        places = np.flatnonzero(ignored.any(axis=(1, 2)))
        partly = [int(n) for n in places if not ignored[n].all()]
        unlabelled = frozenset(int(n) for n in places)
        if len(places):
            marks = marks.copy()
            marks[places] = 0
        if partly:
            line = f"{path}: {len(partly)} slices are labelled in parts only ({ignore} elsewhere)"
            warnings += (f"{line}: they come in without labels",)
    low, high = marks.min(), marks.max()
    if low < 0 or high > 255:
        raise VolumeInvalid(
            f"{path} holds values from {low:g} to {high:g}: a label map has whole numbers from 0 "
            "to 255, the numbers of its classes"
        )
    return LabelMap(marks.astype(np.uint8, copy=False), unlabelled, warnings)


def check_place(file: VolumeFile, first: VolumeFile, plane: Plane, what: str) -> None:
    """Raise ``VolumeInvalid`` where the voxels of two files do not lie on each other."""
    advice = (
        "write both with the same affine, or, if their voxels are in the same order, import with "
        "--trust-voxels"
        if what == "label map"
        else "write both with the same affine"
    )
    affines = f"its affine is {_rows(file.affine)}, that of the image {_rows(first.affine)}"
    if file.stack_shape(plane) != first.stack_shape(plane):
        raise VolumeInvalid(
            f"{file.path} has the shape {file.shape}, its image {first.path} has {first.shape}; "
            f"{affines}: resample this {what} onto its image"
        )
    away = apart(file, first, plane)
    if away > _APART:
        raise VolumeInvalid(
            f"{file.path} lies up to {away:.3g} mm away from {first.path}, so that this {what} "
            f"would be shown in the wrong place; {affines}: {advice}"
        )


def apart(file: VolumeFile, first: VolumeFile, plane: Plane) -> float:
    """How far the same corners of two stacks lie from each other, in mm."""
    depth, height, width = first.stack_shape(plane)
    one, other = file.geometry(plane), first.geometry(plane)
    return max(
        float(np.linalg.norm(one.position(*corner) - other.position(*corner)))
        for corner in product((0, width - 1), (0, height - 1), (0, depth - 1))
    )


def _rows(affine: Affine) -> str:
    return str([[float(f"{number:.6g}") for number in row] for row in affine[:3]])
