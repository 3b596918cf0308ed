"""Where the images of a DICOM series lie: their order, and one affine for all."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.formats.dicom_image import Place, SeriesImage

# How far orientations may differ (they are written with few digits), and spacings in mm.
_TURNED, _SPACED = 1e-3, 1e-4
# A slice beside its even place: a part of the distance that is refused, and mm that are told.
_REFUSED, _TOLD = 0.05, 0.01


def series_geometry(
    images: Sequence[SeriesImage], folder: Path
) -> tuple[Geometry | None, list[SeriesImage], tuple[str, ...]]:
    """The place of a series, its images in order along their normal, and warnings.

    Where some header says no position: None, and the order of the instance numbers. Raises
    ``VolumeInvalid`` for images that are not one even stack of parallel slices.
    """
    placed = [(image.place, image) for image in images if image.place is not None]
    if len(placed) < len(images):
        by_number = sorted(images, key=lambda image: (image.number, image.path.name))
        return None, by_number, ()
    first = placed[0][0]
    for place, image in placed:
        if np.abs(place.orientation - first.orientation).max() > _TURNED or not np.allclose(
            _spacing(place), _spacing(first), rtol=0, atol=_SPACED
        ):
            raise VolumeInvalid(
                f"{image.path} and {images[0].path} differ in orientation or spacing: put images "
                "of each into a folder of their own"
            )
    placed.sort(key=lambda one: (float(first.normal @ one[0].position), one[1].number))
    step, warnings = _step([place for place, _ in placed], [i.path for _, i in placed], folder)
    lowest = placed[0][0]
    ordered = [image for _, image in placed]
    if first.spacing is None:
        return None, ordered, warnings
    try:
        geometry = Geometry.of_dicom(
            lowest.position.tolist(), first.orientation.tolist(), first.spacing.tolist(), step
        )
    except InvalidInput as error:
        raise VolumeInvalid(f"the headers of {folder} place it nowhere: {error}") from error
    return geometry, ordered, warnings


def _spacing(place: Place) -> Sequence[float]:
    return (0.0, 0.0) if place.spacing is None else place.spacing.tolist()


def _step(
    places: Sequence[Place], paths: Sequence[Path], folder: Path
) -> tuple[list[float], tuple[str, ...]]:
    """(3,) from a slice to the next, if all are equal enough; and what to tell."""
    normal = places[0].normal
    if len(places) == 1:
        return [float(v) for v in normal * places[0].thickness], ()
    positions = np.stack([place.position for place in places])
    along = positions @ normal
    whole = float(along[-1] - along[0]) / (len(places) - 1)
    for (low, a), (high, b) in pairwise(zip(along, paths, strict=True)):
        if high - low < 1e-3 * whole or whole <= 0:
            raise VolumeInvalid(
                f"{a} and {b.name} lie at the same place: if they are points of time or echoes, "
                "put each into a folder of its own"
            )
    step = (positions[-1] - positions[0]) / (len(places) - 1)
    even = positions[0] + np.arange(len(places))[:, np.newaxis] * step
    away = np.linalg.norm(positions - even, axis=1)
    worst = float(away.max())
    if worst > _REFUSED * float(np.linalg.norm(step)):
        gaps = np.diff(along)
        widest = int(gaps.argmax())
        raise VolumeInvalid(
            f"the slices of {folder} do not lie at equal distances: most are "
            f"{float(np.median(gaps)):.4g} mm apart, but {paths[widest].name} and "
            f"{paths[widest + 1].name} are {gaps[widest]:.4g}. Is one missing?"
        )
    told = f"{folder}: slices lie up to {worst:.3g} mm beside equal distances"
    return [float(v) for v in step], ((told,) if worst > _TOLD else ())
