"""Several readers' masks of one slice into one.

Our own arithmetic: SimpleITK, which has both, would be two fifths of a server's image. A test holds
what is computed here to it. Where a vote is drawn we begin STAPLE with background; ITK counts such
a pixel among those of another class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from app.core.pixels import Pixels

_Floats = npt.NDArray[np.float64]
_Numbers = npt.NDArray[np.int64]

BACKGROUND = 0
# Readers' qualities that move by less have settled; a slice on which they never do is stopped.
_SETTLED = 1e-5
_MOST_STEPS = 1000
# Pixels that are counted together.
_AT_ONCE = 1 << 20
# What differs by rounding alone is a draw.
_EQUAL = 1e-9


@dataclass(frozen=True)
class _Read:
    """The ways in which a pixel was read: (P, K) classes by K readers, and (P,) pixels read so.

    A slice has a handful of them, however many pixels it has.
    """

    ways: _Numbers
    pixels: _Floats
    of_pixel: npt.NDArray[np.int32]
    classes: int


def majority(readings: Sequence[Pixels]) -> Pixels:
    """Each pixel's most frequent class; background where none is. (H, W) each and out, uint8."""
    read = _read(readings)
    return _laid_out(_winners(_votes(read)), read, readings[0].shape)


def staple(readings: Sequence[Pixels]) -> Pixels:
    """STAPLE (Warfield et al. 2004; for several classes Rohlfing et al. 2004). Shapes as above.

    Expectation and maximisation in turn: how likely each class is at each pixel, by how well each
    reader tells classes apart; and how well they do, by these likelihoods.
    """
    read = _read(readings)
    votes = _votes(read)
    prior = read.pixels @ votes
    prior /= prior.sum()
    # As ITK begins: with the majority as the truth, each class that a reader says shared out.
    quality = _shared(_counted(read, np.eye(read.classes)[_winners(votes)]), axis=2)
    for _ in range(_MOST_STEPS):
        before = quality
        quality = _shared(_counted(read, _likely(read, prior, quality)), axis=1)
        if np.abs(quality - before).max() < _SETTLED:
            break
    return _laid_out(_winners(_likely(read, prior, quality)), read, readings[0].shape)


def _read(readings: Sequence[Pixels]) -> _Read:
    """Number the ways, a reader at a time: a slice may have sixty million pixels."""
    classes = 1 + max(int(reading.max()) for reading in readings)
    of_pixel = np.zeros(readings[0].size, np.int32)
    ways, pixels = np.zeros((1, 0), np.int64), np.zeros(0)
    for reading in readings:
        of_pixel *= classes
        of_pixel += reading.reshape(-1)
        parts = np.array_split(of_pixel, 1 + of_pixel.size // _AT_ONCE)
        counts = np.zeros(len(ways) * classes, np.int64)
        for part in parts:
            counts += np.bincount(part, minlength=len(counts))
        found = np.flatnonzero(counts)
        numbers = np.zeros(len(counts), np.int32)
        numbers[found] = np.arange(len(found))
        for part in parts:
            part[:] = numbers[part]
        ways = np.column_stack([ways[found // classes], found % classes])
        pixels = counts[found].astype(float)
    return _Read(ways, pixels, of_pixel, classes)


def _votes(read: _Read) -> _Floats:
    """How many readers say a class: (P, classes)."""
    said = [(read.ways == number).sum(axis=1) for number in range(read.classes)]
    return np.stack(said, axis=1).astype(float)


def _counted(read: _Read, likely: _Floats) -> _Floats:
    """Pixels for which each reader says a class where another is true: (K, said, true)."""
    said = np.eye(read.classes)[read.ways]
    return cast("_Floats", np.einsum("pks,pt->kst", said, likely * read.pixels[:, None]))


def _shared(counted: _Floats, axis: int) -> _Floats:
    """Parts of a whole along an axis; zeros where there is nothing to share."""
    total = counted.sum(axis=axis, keepdims=True)
    return cast("_Floats", np.divide(counted, total, out=np.zeros_like(counted), where=total > 0))


def _likely(read: _Read, prior: _Floats, quality: _Floats) -> _Floats:
    """How likely each class is for each way of reading: (P, classes), sums to 1."""
    likely = np.tile(prior, (len(read.ways), 1))
    for reader, said in enumerate(read.ways.T):
        likely = likely * quality[reader, said]
    return _shared(likely, axis=1)


def _winners(worth: _Floats) -> _Numbers:
    """The class that is worth most, for each row; background where two are."""
    best = worth.max(axis=1, keepdims=True)
    several = (worth >= best * (1 - _EQUAL)).sum(axis=1) > 1
    return np.where(several, BACKGROUND, worth.argmax(axis=1))


def _laid_out(winners: _Numbers, read: _Read, shape: Any) -> Pixels:
    return winners.astype(np.uint8)[read.of_pixel].reshape(shape)
