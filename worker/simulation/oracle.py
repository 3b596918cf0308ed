"""The oracle: masks from hidden ground truth, right or wrong on purpose."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from app.core.pixels import decode, encode

Classes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Oracle:
    """Hidden masks by slice id, as PNG."""

    truths: dict[int, bytes]

    def answer(self, slice_id: int) -> bytes:
        """The true mask. Raises ``KeyError`` for a slice whose truth was not imported."""
        return self.truths[slice_id]

    def wrong_answer(self, slice_id: int, rng: np.random.Generator) -> bytes:
        """The mask as a hurried hand draws it: grown, shrunk, shifted, or left out."""
        return encode(disturb(decode(self.truths[slice_id]).astype(np.uint8), rng))


def disturb(classes: Classes, rng: np.random.Generator) -> Classes:
    """A mask (H, W) with one typical mistake; a blank mask stays blank."""
    mistake = rng.integers(4)
    foreground = classes > 0
    if mistake == 0:
        return np.where(ndimage.binary_erosion(foreground), classes, 0).astype(np.uint8)
    if mistake == 1:
        grown = ndimage.grey_dilation(classes, size=(3, 3))
        return np.where(foreground, classes, grown).astype(np.uint8)
    if mistake == 2:
        down, right = rng.integers(-2, 3, size=2)
        shifted: Classes = ndimage.shift(classes, (down, right), order=0)
        return shifted
    return np.zeros_like(classes)
