"""The maps of measures, checked before they are summed: others write measures too."""

import math

import torch
from torch import Tensor

from app.core.errors import InvalidInput

# Rounding may take a measure so far below zero; what is lower is wrong.
_ROUNDING = 1e-4


def checked_maps(measures: dict[str, Tensor], probability: Tensor) -> dict[str, Tensor]:
    """Maps (N, H, W) by measure, of probabilities (N, C, H, W); none is below zero then.

    Raises ``InvalidInput``, which names the measure at fault.
    """
    expected = torch.Size((probability.shape[0], *probability.shape[2:]))
    for name, found in measures.items():
        if not isinstance(found, Tensor) or found.shape != expected:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InvalidInput(
                f"the measure {name!r} gave {shape} where a map of shape {tuple(expected)} was due"
            )
    # One look at all of them: on a GPU each would be waited for.
    lowest = torch.stack([found.amin().float() for found in measures.values()]).tolist()
    for name, low in zip(measures, lowest, strict=True):
        if not low >= -_ROUNDING:  # also where it is NaN
            raise InvalidInput(_why_not(name, low, probability))
    return {
        name: found.clamp(min=0) if low < 0 else found
        for (name, found), low in zip(measures.items(), lowest, strict=True)
    }


def _why_not(measure: str, low: float, probability: Tensor) -> str:
    if not probability.isfinite().all():
        return "the network's predictions hold values that are no numbers: train it again"
    what = "values that are no numbers" if math.isnan(low) else f"negative values, such as {low:g}"
    return f"the measure {measure!r} gave {what}: a measure is at least 0 in every pixel"
