"""The pixels that count: Boolean maps of the predicted target and of its soft edge."""

import torch
from torch import Tensor


def target_region(probability: Tensor, threshold: float = 0.1) -> Tensor:
    """Predicted target pixels, T_x = {p : P(c|p) > T} (eq. 1).

    probability: (N, C, H, W); returns bool (N, H, W), true where any foreground class exceeds
    the threshold T.
    """
    return (_foreground(probability) > threshold).any(dim=1)


def boundary_region(probability: Tensor, width: float = 0.1) -> Tensor:
    """Pixels near the decision boundary, U_x = {p : |P(c|p) − 0.5| < B} (eq. 2).

    probability: (N, C, H, W); returns bool (N, H, W), true where any foreground class lies
    within B of 0.5. The printed formula has the boundary and the width swapped.
    """
    return ((_foreground(probability) - 0.5).abs() < width).any(dim=1)


def _foreground(probability: Tensor) -> Tensor:
    # Compared in float32 at least: bfloat16 would move the thresholds.
    wide = torch.promote_types(probability.dtype, torch.float32)
    return probability[:, 1:].to(wide)
