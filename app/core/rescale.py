"""The way back from stored integers to the values of the file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
_MOST_AT_ONCE = 2**22


@dataclass(frozen=True)
class Rescale:
    """value = (stored + offset) · slope + intercept, in float64.

    ``offset`` moves what the file stores as negative integers into an unsigned picture, so that
    the file's own slope and intercept are applied to the file's own integers, bit for bit. What
    is stored runs from dark to bright: ``slope`` is negative where low values are shown bright.
    ``unit``: what the values are in, ``HU`` for CT; None for a scanner's arbitrary numbers.
    """

    offset: int = 0
    slope: float = 1.0
    intercept: float = 0.0
    unit: str | None = None

    def values(self, stored: npt.NDArray[np.generic]) -> Values:
        """The file's values of stored integers of any shape."""
        values: Values = stored.astype(np.float64)
        if self.offset:
            values += self.offset
        if (self.slope, self.intercept) != (1.0, 0.0):
            values *= self.slope
            values += self.intercept
        return values

    @property
    def base(self) -> float:
        """The value of a stored 0: with ``slope`` the mapping in its short form."""
        return self.offset * self.slope + self.intercept


PLAIN = Rescale()


@dataclass(frozen=True)
class Moments:
    """Mean and mean of squares of the file's values, from which a whole case is standardised."""

    mean: float
    mean_square: float

    @classmethod
    def of(cls, values: Values) -> "Moments":
        """Of values of any shape."""
        return cls(float(values.mean()), float(np.square(values).mean()))

    @classmethod
    def of_stored(cls, stored: npt.NDArray[np.generic], rescale: Rescale) -> "Moments":
        """Of the values of stored integers (H, W): of large pictures some rows at a time.

        Their values take 8 bytes each, and their squares as many again.
        """
        if stored.size <= _MOST_AT_ONCE:
            return cls.of(rescale.values(stored))
        rows = max(1, _MOST_AT_ONCE // stored.shape[1])
        bands = [stored[start : start + rows] for start in range(0, len(stored), rows)]
        parts = [cls.of(rescale.values(band)) for band in bands]
        shares = [band.size / stored.size for band in bands]
        return cls(
            sum(share * part.mean for share, part in zip(shares, parts, strict=True)),
            sum(share * part.mean_square for share, part in zip(shares, parts, strict=True)),
        )

    @classmethod
    def together(cls, parts: "Sequence[Moments]") -> "Moments":
        """Of parts of equal size."""
        return cls(
            sum(p.mean for p in parts) / len(parts), sum(p.mean_square for p in parts) / len(parts)
        )

    @property
    def std(self) -> float:
        """The standard deviation."""
        return float(max(self.mean_square - self.mean * self.mean, 0.0) ** 0.5)
