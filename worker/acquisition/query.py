"""From pixels to a batch: aggregate over a region, rank, join the two halves (eqs. 3 to 5)."""

from collections.abc import Iterator
from itertools import cycle
from typing import Literal

import torch
from torch import Tensor

Reduction = Literal["sum", "mean"]
Stream = Literal["target", "boundary"]
Drawn = list[tuple[int, Stream]]


def aggregate(
    uncertainty: Tensor, region: Tensor | None = None, reduction: Reduction = "sum"
) -> Tensor:
    """One score a slice: the uncertainty summed over a region (eqs. 3, 4), or over all pixels.

    uncertainty: (N, H, W); region: bool (N, H, W) or None; returns (N,). ``mean`` divides by
    the region's pixels. An empty region scores 0.
    """
    if region is None:
        region = torch.ones_like(uncertainty, dtype=torch.bool)
    # A picture's sum needs more bits than bfloat16 has.
    uncertainty = uncertainty.to(torch.promote_types(uncertainty.dtype, torch.float32))
    total = torch.where(region, uncertainty, 0).sum(dim=(1, 2))
    if reduction == "sum":
        return total
    if reduction == "mean":
        return total / region.sum(dim=(1, 2)).clamp(min=1)
    raise ValueError(f"reduction is {reduction!r}: it must be 'sum' or 'mean'")


def rank(scores: Tensor, seed: int, total: Tensor | None = None) -> Tensor:
    """Indices by falling score; ties by falling ``total``, then by a seeded permutation.

    scores, total: (N,); returns long (N,). Never by index: slices that stand side by side in
    the pool are alike. Raises ``ValueError`` for NaN, which would rank anywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(scores), generator=generator)
    for key in (total, scores):
        if key is None:
            continue
        key = key.cpu()
        if key.isnan().any():
            raise ValueError(f"{int(key.isnan().sum())} of {len(key)} scores are NaN")
        order = order[key[order].argsort(descending=True, stable=True)]
    return order


def top_k(scores: Tensor, k: int, seed: int) -> Tensor:
    """The k slices of the highest score, best first: the conventional query.

    scores: (N,); returns long (min(k, N),), all distinct; ties in a seeded random order.
    """
    return rank(scores, seed)[: _checked(k)]


def selective_top_k(target: Tensor, boundary: Tensor, total: Tensor, k: int, seed: int) -> Tensor:
    """TopK(target) ∪ TopK(boundary), always min(k, N) distinct slices (eq. 5).

    target, boundary, total: (N,) scores over the target region, the boundary region and all
    pixels; ``total`` breaks ties. Returns long (min(k, N),), best first.
    """
    chosen = selective_order(target, boundary, total, k, seed)
    return torch.tensor([index for index, _ in chosen], dtype=torch.long)


def selective_order(target: Tensor, boundary: Tensor, total: Tensor, k: int, seed: int) -> Drawn:
    """As ``selective_top_k``, each index with the ranking that it was drawn from."""
    return take_turns(rank(target, seed, total), rank(boundary, seed, total), k)


def take_turns(target: Tensor, boundary: Tensor, k: int) -> Drawn:
    """Draw from two rankings in turn, target first, skipping what is taken (eq. 5).

    target, boundary: long (N,), all indices in the order of each ranking.
    """
    turns: cycle[tuple[Stream, Iterator[int]]] = cycle(
        (("target", iter(target.tolist())), ("boundary", iter(boundary.tolist())))
    )
    chosen: dict[int, Stream] = {}
    while len(chosen) < min(_checked(k), len(target)):
        stream, ranked = next(turns)
        # The list whose turn it is gives its best slice that is not taken yet.
        index = next(i for i in ranked if i not in chosen)
        chosen[index] = stream
    return list(chosen.items())


def _checked(k: int) -> int:
    if k < 0:
        raise ValueError(f"k is {k}: it must not be negative")
    return k
