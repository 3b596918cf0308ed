"""MC-dropout: the entropy of the mean of stochastic passes (Gal and Ghahramani 2016)."""

import math

from torch import Tensor

from worker.acquisition.measure import Measure
from worker.acquisition.uncertainty import entropy


def of_passes(mean_probability: Tensor, mean_entropy: Tensor) -> Tensor:
    """H(mean P), (N, H, W); the entropy of single passes does not count."""
    return entropy(mean_probability)


MEASURE = Measure(of=of_passes, highest=math.log, stochastic=True)
