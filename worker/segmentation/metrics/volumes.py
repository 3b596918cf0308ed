"""A case as a volume: how far surfaces lie apart, and which lesions were found.

A case is a volume where its evaluated slices are of one size and follow each other without a gap;
others have no such figures and are left out of their means. Definitions, for one class:

- HD95, mm: the larger of the two 95th percentiles of the distances from each voxel of one surface
  to the other surface. Surface voxels are those that erosion takes away, MONAI's definition.
- Normalised surface Dice: the share of both surfaces' voxels that lie within the tolerance of the
  other surface. A tolerance below a voxel's side asks for the very voxel.
- Where one of the two is empty, no distance is defined. As Metrics Reloaded recommends
  (Maier-Hein, Reinke et al. 2024), it counts the worst value, not nothing: the surface Dice is 0
  and HD95 the diagonal of the volume; leaving such cases out would reward a network for missing
  a target altogether. Where both are empty there is no surface to judge: left out.
- A lesion is a connected component of the mask (voxels that touch, corners too). It is found when
  a predicted voxel lies in it. A predicted component that touches no voxel of the mask is false.

Distances need the spacing in mm, lesions do not. A case of one slice is judged in its plane.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

Classes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
# Millimetres between slices, rows and columns.
Spacing = tuple[float, float, float]

# Within what two people who outline the same target differ; Nikolov et al. (2018) found 1 to 3 mm.
TOLERANCE_MM = 2.0
_PERCENTILE = 95


@dataclass(frozen=True)
class Outlined:
    """A slice's foreground: where it is in the flat slice, and the classes there.

    Foreground is rare, so this is a small part of what two whole slices would take.
    """

    index: int
    size: tuple[int, int]
    places: npt.NDArray[np.int32]
    predicted: Classes
    expected: Classes

    @classmethod
    def of(cls, index: int, predicted: Classes, expected: Classes) -> "Outlined":
        """From classes (H, W)."""
        places = np.flatnonzero(predicted | expected)
        size = (predicted.shape[0], predicted.shape[1])
        return cls(
            index,
            size,
            places.astype(np.int32),
            predicted.ravel()[places],
            expected.ravel()[places],
        )


@dataclass(frozen=True)
class VolumeFigures:
    """One class of one volume. ``hd95_mm`` and ``nsd`` are NaN where they have no value.

    ``missed``: HD95 is the worst value, as one of prediction and mask is empty.
    """

    hd95_mm: float
    nsd: float
    missed: bool
    lesions: int
    lesions_found: int
    false_lesions: int


def volume_of(slices: Sequence[Outlined]) -> tuple[Classes, Classes] | None:
    """Predicted and expected classes (D, H, W); None where the slices make up no volume."""
    ordered = sorted(slices, key=lambda one: one.index)
    first = ordered[0]
    follow = all(one.index == first.index + n for n, one in enumerate(ordered))
    if not follow or any(one.size != first.size for one in ordered):
        return None
    both = np.zeros((2, len(ordered), first.size[0] * first.size[1]), dtype=np.uint8)
    for n, one in enumerate(ordered):
        both[0, n, one.places], both[1, n, one.places] = one.predicted, one.expected
    predicted, expected = both.reshape(2, len(ordered), *first.size)
    return predicted, expected


def volume_figures(
    predicted: Mask, expected: Mask, spacing: Spacing | None, tolerance_mm: float
) -> VolumeFigures:
    """All figures of one class of one volume; predicted, expected: (D, H, W)."""
    hd95, nsd, missed = _surfaces(predicted, expected, spacing, tolerance_mm)
    return VolumeFigures(hd95, nsd, missed, *_lesions(predicted, expected))


def _surfaces(
    predicted: Mask, expected: Mask, spacing: Spacing | None, tolerance_mm: float
) -> tuple[float, float, bool]:
    if spacing is None or not (predicted.any() or expected.any()):
        return np.nan, np.nan, False
    steps = np.array(spacing)
    if not (predicted.any() and expected.any()):
        return float(np.linalg.norm((np.array(predicted.shape) - 1) * steps)), 0.0, True
    # Loading it takes seconds: only who asks for surfaces waits.
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    from monai.metrics.surface_dice import compute_surface_dice

    if len(predicted) == 1:
        predicted, expected, steps = predicted[0], expected[0], steps[1:]
    ours, theirs = (
        torch.from_numpy(m.astype(np.float32))[None, None] for m in (predicted, expected)
    )
    sides = [float(step) for step in steps]
    with warnings.catch_warnings():
        # MONAI warns of what it itself calls.
        warnings.simplefilter("ignore", FutureWarning)
        distance = compute_hausdorff_distance(
            ours, theirs, include_background=True, percentile=_PERCENTILE, spacing=sides
        )
        dice = compute_surface_dice(
            ours, theirs, [tolerance_mm], include_background=True, spacing=sides
        )
    return float(distance), float(dice), False


def _lesions(predicted: Mask, expected: Mask) -> tuple[int, int, int]:
    """Lesions, those found, and false ones."""
    touching = np.ones((3, 3, 3), dtype=bool)
    lesions, count = ndimage.label(expected, structure=touching)
    ours, guessed = ndimage.label(predicted, structure=touching)
    found = len(np.unique(lesions[predicted & expected]))
    right = len(np.unique(ours[predicted & expected]))
    return count, found, guessed - right
