"""How long the outlines of a mask are, and how much of a suggestion's outline has to change.

A length is the number of sides of pixels that part two classes: what somebody's pen follows.
"""

import numpy as np
import numpy.typing as npt


def outline(classes: npt.NDArray[np.integer]) -> int:
    """Length of all outlines of class indices (H, W), in sides of pixels.

    A side that two classes share counts once; one at the picture's edge is no outline.
    """
    pairs = (_pairs(classes, axis) for axis in (0, 1))
    return sum(int((first != second).sum()) for first, second in pairs)


def outline_to_change(suggested: npt.NDArray[np.integer], wanted: npt.NDArray[np.integer]) -> int:
    """Length of outline (H, W) that has to go or to come until a suggestion is what is wanted.

    A side that parts other classes than it should is counted once.
    """
    changed = 0
    for axis in (0, 1):
        pairs = [_pairs(classes, axis) for classes in (suggested, wanted)]
        unlike = (pairs[0] != pairs[1]).any(axis=0)
        outlines = [one[0] != one[1] for one in pairs]
        changed += int((unlike & (outlines[0] | outlines[1])).sum())
    return changed


def _pairs(classes: npt.NDArray[np.integer], axis: int) -> npt.NDArray[np.integer]:
    """Both sides of every side of pixels along an axis, (2, …)."""
    length = classes.shape[axis]
    first, second = (classes.take(range(n, length - 1 + n), axis=axis) for n in (0, 1))
    return np.stack([first, second])
