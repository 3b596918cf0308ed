"""Batches drawn for variety, where no model can say what to ask for.

The first batch, before there is a model; and any later one while no target has been found.
Farthest-first traversal (greedy k-centre) over small thumbnails. What the choice of the very
first batch is worth is studied in COLosSAL (Liu et al. 2023, arXiv 2307.12004).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image as Pictures

THUMBNAIL = 8
# A way through a whole case counts as much as eight of the 64 fields turning from black to white.
_PLACE = 255 * THUMBNAIL**0.5

Appearance = npt.NDArray[np.uint8]
_ROWS_AT_ONCE = 256


def appearance(pixels: npt.NDArray[np.generic]) -> Appearance:
    """A thumbnail of a slice, (64,): mean grey of 8 × 8 fields, stretched to its own range.

    pixels: (H, W) of any intensities.
    """
    # Narrow first, some rows at a time: as floats a large picture would fill the memory.
    starts = range(0, len(pixels), _ROWS_AT_ONCE)
    bands = [pixels[start : start + _ROWS_AT_ONCE] for start in starts]
    narrow = np.concatenate([_resized(band, len(band)) for band in bands])
    grey = _resized(narrow, THUMBNAIL)
    low, high = float(grey.min()), float(grey.max())
    scaled: Appearance = ((grey - low) * (255 / max(high - low, 1e-6))).astype(np.uint8).ravel()
    return scaled


def _resized(pixels: npt.NDArray[np.generic], height: int) -> npt.NDArray[np.float32]:
    """Means of fields: (height, 8)."""
    picture = Pictures.fromarray(pixels.astype(np.float32))
    return np.asarray(picture.resize((THUMBNAIL, height), Pictures.Resampling.BOX))


def k_centre_of_appearances(
    looks: npt.NDArray[np.generic],
    k: int,
    rng: np.random.Generator,
    taken: npt.NDArray[np.generic] | None = None,
) -> list[int]:
    """Indices of min(k, N) slices, each as unlike those before as can be; the first at random.

    looks: (N, F); ``taken``: (M, F) of slices that are in the batch already.
    """
    values = looks.astype(np.float32)
    nearest = np.full(len(values), np.inf, dtype=np.float32)
    for one in [] if taken is None else taken.astype(np.float32):
        nearest = np.minimum(nearest, ((values - one) ** 2).sum(axis=1))
    picked: list[int] = []
    while len(picked) < min(k, len(values)):
        unseen = np.isinf(nearest).all()
        best = int(rng.integers(len(values)) if unseen else nearest.argmax())
        picked.append(best)
        nearest = np.minimum(nearest, ((values - values[best]) ** 2).sum(axis=1))
        nearest[picked] = -1
    return picked


def reason_to_explore(labelled_foreground: int, predicted_foreground: int) -> str | None:
    """Why no uncertainty can choose the next batch, in words; None where it can.

    Pixels of any target, in the masks that train and in what the newest model predicts on the
    pool. Without either, every target and boundary region is empty, and what is left to rank by
    asks for blank slices without end.
    """
    if labelled_foreground == 0:
        return "no labelled slice holds any target yet"
    if predicted_foreground == 0:
        return "the model predicts no target anywhere in the pool"
    return None


def explore(
    appearances: npt.NDArray[np.generic],
    cases: npt.NDArray[np.generic],
    places: npt.NDArray[np.generic],
    k: int,
    rng: np.random.Generator,
    taken: Sequence[int] | None = None,
) -> list[int]:
    """Indices of up to k slices that differ in case, place and appearance, in order of picking.

    appearances: (N, 64) thumbnails; cases: (N,) equal for slices of one case; places: (N,) from
    0 at a case's first slice to 1 at its last. ``taken``: indices of slices that are labelled:
    they are not picked again, and their cases have given. Each next slice is of a case that has
    given fewest, there the one farthest from all that are taken; the very first is drawn.
    """
    values = np.column_stack(
        [appearances.astype(np.float32), places.astype(np.float32) * np.float32(_PLACE)]
    )
    numbers = np.unique(cases, return_inverse=True)[1].reshape(len(values))
    given = np.zeros(len(values), dtype=np.int64)  # by case; there are at most N
    nearest = np.full(len(values), np.inf, dtype=np.float32)
    free = np.ones(len(values), dtype=np.bool_)

    def take(one: int) -> None:
        free[one] = False
        given[numbers[one]] += 1
        np.minimum(nearest, ((values - values[one]) ** 2).sum(axis=1), out=nearest)

    for one in taken or ():
        take(one)
    picked: list[int] = []
    while len(picked) < k and free.any():
        candidates = np.flatnonzero(free & (given[numbers] == given[numbers[free]].min()))
        if np.isinf(nearest).all():
            best = int(rng.choice(candidates))
        else:
            best = int(candidates[nearest[candidates].argmax()])
        take(best)
        picked.append(best)
    return picked
