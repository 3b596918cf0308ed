"""What an uncertainty measure is: a number a pixel, large where the model is unsure."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Measure:
    """A pixel-wise uncertainty measure.

    ``of``: of one deterministic prediction, (N, C, H, W) → (N, H, W); or, where ``stochastic``,
    of the passes with dropout, given as their mean probability (N, C, H, W) and their mean
    entropy (N, H, W). Values are at least 0.

    ``highest(classes)`` is the highest value that a pixel can have, by which maps are shaded.
    """

    of: Callable[..., Tensor]
    highest: Callable[[int], float]
    stochastic: bool = False
