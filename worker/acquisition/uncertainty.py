"""Pixel-wise uncertainty: one number a pixel, large where the model is unsure.

All take probabilities (N, C, H, W) that sum to one over C, of any floating type, and return
(N, H, W) in float32 (float64 for float64 input). For C = 2 with foreground probability P they
are the binary forms of the paper's five measures.
"""

import torch
from torch import Tensor


def _at_least_float32(probability: Tensor) -> Tensor:
    # Eight bits of mantissa cannot hold 1 - P near one, nor a sum over a picture.
    return probability.to(torch.promote_types(probability.dtype, torch.float32))


def entropy(probability: Tensor) -> Tensor:
    """Shannon entropy, Σ −P log P over the classes, in nats; exactly 0 where P is 0 or 1.

    probability: (N, C, H, W); returns (N, H, W) in [0, log C]. Source: Settles 2009.
    """
    # The clamp takes off what a saturated map leaves below zero or above one by rounding.
    terms: Tensor = torch.special.entr(_at_least_float32(probability).clamp(0, 1))
    return terms.sum(dim=1)


def least_confidence(probability: Tensor) -> Tensor:
    """One minus the highest class probability, 1 − max P.

    probability: (N, C, H, W); returns (N, H, W) in [0, 1 − 1/C]. Source: Wang et al. 2016.
    """
    return 1 - _at_least_float32(probability).amax(dim=1)


def margin(probability: Tensor) -> Tensor:
    """One minus the lead of the first class over the second, 1 − (P₁ − P₂); 1 − |2P − 1| for two.

    probability: (N, C, H, W); returns (N, H, W) in [0, 1]. Source: Scheffer et al. 2001.
    """
    first, second = _at_least_float32(probability).topk(2, dim=1).values.unbind(dim=1)
    return 1 - (first - second)


def mutual_information(passes: Tensor) -> Tensor:
    """BALD: what the passes disagree about, H(mean P) − mean H(P), never below 0.

    passes: (T, N, C, H, W), T stochastic predictions; returns (N, H, W).
    Source: Houlsby et al. 2011. The worker keeps two running means instead of T maps and calls
    ``mutual_information_of_means``.
    """
    mean_entropy = torch.stack([entropy(p) for p in passes]).mean(dim=0)
    return mutual_information_of_means(_at_least_float32(passes).mean(dim=0), mean_entropy)


def mutual_information_of_means(mean_probability: Tensor, mean_entropy: Tensor) -> Tensor:
    """BALD from the mean prediction (N, C, H, W) and the mean entropy (N, H, W) of the passes."""
    return (entropy(mean_probability) - mean_entropy).clamp(min=0)
