"""95 % intervals by bootstrap over cases: how far a figure hangs on which cases were tested.

1,000 times as many cases as there are are drawn with replacement, always by the same seed, and
the figure is computed anew; the interval holds the middle 95 % of what comes out (percentiles).
A case is drawn with all of its slices, since slices of a patient resemble each other. With a
handful of cases such an interval is rather too narrow; of a single one there is none.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from worker.segmentation.metrics.calibration import Sums, calibration_error

_DRAWS, _SEED, _LEVEL = 1000, 0, 95.0

Values = npt.NDArray[np.float64]
Interval = tuple[float, float]


def interval(sums: Values, counts: Values) -> Interval | None:
    """Of the ratio Σ sums / Σ counts of all cases; both (N,), 0 where a case has no value."""
    if np.count_nonzero(counts) < 2:
        return None
    drawn = _times_drawn(len(counts))
    with np.errstate(invalid="ignore"):
        return _middle((drawn @ sums) / (drawn @ counts))


def calibration_interval(sums: Sums) -> Interval | None:
    """Of the calibration error over all cases; sums: (N, 3, BINS)."""
    if np.count_nonzero(sums[:, 0].sum(axis=1)) < 2:
        return None
    return _middle(calibration_error(np.tensordot(_times_drawn(len(sums)), sums, axes=1)))


@lru_cache(maxsize=8)
def _times_drawn(cases: int) -> Values:
    """How often each case was drawn, (draws, cases)."""
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(cases, [1 / cases] * cases, size=_DRAWS).astype(np.float64)


def _middle(found: Values) -> Interval:
    """Draws without any case that has a value (NaN) do not count."""
    low, high = np.nanpercentile(found, [(100 - _LEVEL) / 2, (100 + _LEVEL) / 2])
    return float(low), float(high)
