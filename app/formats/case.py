"""One case read from files: channels of stored integers, where it lies, and the way back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.geometry import Geometry
from app.core.pixels import Pixels
from app.core.rescale import PLAIN, Rescale

Classes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ChannelStack:
    """One channel of a case.

    pixels: (D, H, W) uint8 or uint16; ``rescale``: one for the stack, or one for each slice;
    ``largest_error``: how far a value that comes back may lie from the file's, 0 for exact; in
    float64, so that a file of single precision may show its own rounding here and no loss.
    ``cut``: how many voxels lay so far from all others that they are kept at the end of these's
    range; the error is that of the others.
    """

    pixels: Pixels
    rescale: tuple[Rescale, ...] = (PLAIN,)
    largest_error: float = 0.0
    cut: int = 0

    def rescale_of(self, slice_: int) -> Rescale:
        """The way back of one slice of the stack, from 0."""
        return self.rescale[slice_ if len(self.rescale) > 1 else 0]


@dataclass(frozen=True)
class CaseVolume:
    """A case as a stack: channels in the order of the project's, classes (D, H, W) or None.

    ``geometry`` is of (column, row, index of the slice in the case); None where the files do not
    say. ``indices``: the index of each slice of the stack, rising, where places are missing;
    empty where they follow each other from ``first_index`` on. ``unlabelled``: places in the
    stack of slices that ``classes`` says nothing of. ``source`` is what a writer needs to give the
    case back as it came. ``left_out``: files of the case that are not in it, and why.
    """

    channels: tuple[ChannelStack, ...]
    classes: Classes | None = None
    geometry: Geometry | None = None
    first_index: int = 0
    indices: tuple[int, ...] = ()
    unlabelled: frozenset[int] = frozenset()
    source: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """How many slices it has."""
        return len(self.channels[0].pixels)

    def index_of(self, slice_: int) -> int:
        """The index in the case of a slice of the stack, from 0."""
        return self.indices[slice_] if self.indices else self.first_index + slice_
