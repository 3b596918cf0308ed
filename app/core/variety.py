"""The first batch, before there is a model: by how slices look, so that it is varied.

Farthest-first traversal (greedy k-centre) over small thumbnails. What the choice of the very
first batch is worth is studied in COLosSAL (Liu et al. 2023, arXiv 2307.12004).
"""

import numpy as np
import numpy.typing as npt
from PIL import Image as Pictures

THUMBNAIL = 8

Appearance = npt.NDArray[np.uint8]


def appearance(pixels: npt.NDArray[np.generic]) -> Appearance:
    """A thumbnail of a slice, (64,): mean grey of 8 × 8 fields, stretched to its own range.

    pixels: (H, W) of any intensities.
    """
    small = Pictures.fromarray(pixels.astype(np.float32)).resize(
        (THUMBNAIL, THUMBNAIL), Pictures.Resampling.BOX
    )
    grey = np.asarray(small, dtype=np.float32)
    low, high = float(grey.min()), float(grey.max())
    scaled: Appearance = ((grey - low) * (255 / max(high - low, 1e-6))).astype(np.uint8).ravel()
    return scaled


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
