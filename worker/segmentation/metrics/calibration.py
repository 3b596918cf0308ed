"""Whether the network is as sure as it is right: the expected calibration error.

Guo et al. 2017, "On calibration of modern neural networks", eq. 3: pixels are put into 15 bins of
equal width by the probability of the class that is predicted; the error is the mean distance of
accuracy and mean probability, weighted by a bin's pixels. Only pixels count whose label is
foreground or whose predicted class is: background far from any target is easy, and there is so
much of it that it would hide everything else.
"""

import numpy as np
import numpy.typing as npt

BINS = 15

Classes = npt.NDArray[np.uint8]
Sums = npt.NDArray[np.float64]


def binned(confidence: npt.NDArray[np.float32], predicted: Classes, expected: Classes) -> Sums:
    """Sums (3, BINS) over foreground pixels: how many, how many right, their probabilities.

    confidence: probability of the predicted class; all three have the same shape.
    """
    foreground = (predicted > 0) | (expected > 0)
    sure = confidence[foreground].astype(np.float64)
    right = predicted[foreground] == expected[foreground]
    # A bin holds its upper edge, as in the paper: 1 is in the last.
    which = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    weights = (np.ones_like(sure), right.astype(np.float64), sure)
    return np.stack([np.bincount(which, weights=w, minlength=BINS) for w in weights])


def calibration_error(sums: Sums) -> npt.NDArray[np.float64]:
    """ECE (...) of sums (..., 3, BINS); NaN where there is no foreground pixel."""
    pixels, right, sure = sums[..., 0, :], sums[..., 1, :], sums[..., 2, :]
    with np.errstate(invalid="ignore"):
        error: npt.NDArray[np.float64] = np.abs(right - sure).sum(-1) / pixels.sum(-1)
    return error
