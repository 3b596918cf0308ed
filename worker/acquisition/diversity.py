"""Batches that differ from each other: k-centre in feature space, noise on rankings."""

import math

import torch
from torch import Tensor

from worker.acquisition.query import rank


def k_centre(
    features: Tensor, k: int, seen: Tensor | None = None, groups: Tensor | None = None
) -> list[int]:
    """Greedy k-centre: again and again the slice that is farthest from all that are taken.

    features: (N, F); ``seen`` (M, F) are taken from the start, without them the first slice is
    the first pick. ``groups``: (N,) long; if given, only slices of the groups that gave fewest
    are looked at. Returns min(k, N) indices in the order of picking.
    Source: Sener and Savarese 2018, algorithm 1.
    """
    features = features.float()
    nearest = torch.full((len(features),), math.inf)
    if seen is not None and len(seen):
        nearest = torch.cdist(features, seen.float()).amin(dim=1)
    given = torch.zeros_like(nearest) if groups is None else nearest.new_zeros(_highest(groups))
    picked: list[int] = []
    free = torch.ones(len(features), dtype=torch.bool)
    while len(picked) < min(k, len(features)):
        allowed = free
        if groups is not None:
            turns = given[groups].masked_fill(~free, math.inf)
            allowed = turns == turns.min()
        # Of equals, and of all at infinity before the first pick, argmax takes the first.
        best = int(nearest.masked_fill(~allowed, -math.inf).argmax())
        picked.append(best)
        free[best] = False
        if groups is not None:
            given[groups[best]] += 1
        nearest = torch.minimum(nearest, (features - features[best]).norm(dim=1))
    return picked


def mean_nearest(batch: Tensor, others: Tensor, scale: Tensor) -> float:
    """How redundant a batch is: mean distance of a slice to the nearest other one taken.

    batch: (K, F); others: (M, F), labelled before; scale: (F,) deviation of each feature in the
    pool. NaN when there is no other slice.
    """
    scaled = batch.float() / (scale + 1e-6)
    taken = torch.cat([scaled, others.float() / (scale + 1e-6)]) if len(others) else scaled
    distances = torch.cdist(scaled, taken)
    distances.fill_diagonal_(torch.inf)
    nearest = distances.amin(dim=1) if len(taken) > 1 else torch.full((1,), torch.nan)
    return float(nearest.mean())


def _highest(groups: Tensor) -> int:
    return int(groups.max()) + 1 if len(groups) else 0


def inverse_temperature(progress: float) -> float:
    """β of the noise, from 1 at the start geometrically to 100 at the end (ClaSP PE)."""
    return float(100 ** min(max(progress, 0.0), 1.0))


def power_rank(scores: Tensor, beta: float, seed: int, total: Tensor | None = None) -> Tensor:
    """Ranks by log(score) + Gumbel noise of scale 1/β: a draw without replacement ∝ scoreᵝ.

    scores: (N,), none negative; returns long (N,). Slices that score 0 come last, by ``total``.
    Source: Kirsch et al. 2023, "Stochastic Batch Acquisition", power acquisition.
    """
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(len(scores), generator=generator, dtype=torch.float64)
    gumbel = -torch.log(-torch.log(uniform.clamp(1e-12, 1 - 1e-12)))
    return rank(scores.cpu().double().log() + gumbel / beta, seed, total)
