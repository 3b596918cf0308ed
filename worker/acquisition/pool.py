"""What a strategy is handed, what it gives back, and what it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class PoolScores:
    """What is known of the N slices of the pool under one measure.

    ``total``, ``target``, ``boundary``: (N,) the measure over all pixels and over each region
    (eqs. 3, 4). The rest is None where nobody computed it:

    - ``by_class``: (N, C − 1), Σ P(c|p) · measure over all pixels, for each foreground class;
    - ``foreground``: (N,) pixels that the model predicts as foreground;
    - ``target_pixels``, ``boundary_pixels``: (N,) of each region (eqs. 1, 2), so that a strategy
      may weigh its sums as it likes;
    - ``features``: (N, F) bottleneck features, averaged over the picture;
    - ``labelled_features``: (M, F) the same of the slices that are labelled;
    - ``cases``: (N,) long, equal for slices of one case.

    ``progress`` is how far the annotation has come, from 0 to 1: of the planned rounds, or else
    the share of the pool that is labelled.
    """

    total: Tensor
    target: Tensor
    boundary: Tensor
    by_class: Tensor | None = None
    foreground: Tensor | None = None
    features: Tensor | None = None
    labelled_features: Tensor | None = None
    cases: Tensor | None = None
    progress: float = 0.0
    target_pixels: Tensor | None = None
    boundary_pixels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.total)


class _Sums(Protocol):
    """Sums and pixel counts of one slice, stored or just scored."""

    @property
    def total(self) -> float: ...
    @property
    def target(self) -> float: ...
    @property
    def boundary(self) -> float: ...
    @property
    def pixels(self) -> int: ...
    @property
    def target_pixels(self) -> int: ...
    @property
    def boundary_pixels(self) -> int: ...
    @property
    def by_class(self) -> list[float]: ...


def pool_scores(scores: Sequence[_Sums], reduction: str, **known: Any) -> PoolScores:
    """Sums as (N,) tensors; the mean form divides by each region's pixels (at least 1).

    ``known`` is what else is known of the pool, by the names of ``PoolScores``.
    """

    def tensor(sums: Sequence[Any], pixels: list[int]) -> Tensor:
        values = torch.tensor(sums, dtype=torch.float64)
        if reduction == "mean":
            counts = torch.tensor(pixels, dtype=torch.float64).clamp(min=1)
            values /= counts.reshape(-1, *(1,) * (values.ndim - 1))
        return values

    return PoolScores(
        total=tensor([s.total for s in scores], [s.pixels for s in scores]),
        target=tensor([s.target for s in scores], [s.target_pixels for s in scores]),
        boundary=tensor([s.boundary for s in scores], [s.boundary_pixels for s in scores]),
        by_class=tensor([s.by_class for s in scores], [s.pixels for s in scores])
        if all(s.by_class for s in scores)
        else None,
        target_pixels=torch.tensor([s.target_pixels for s in scores], dtype=torch.long),
        boundary_pixels=torch.tensor([s.boundary_pixels for s in scores], dtype=torch.long),
        **known,
    )


@dataclass(frozen=True)
class Pick:
    """One chosen slice: its index in the pool, the ranked list it came from, its score there.

    ``stream`` has at most 20 characters.
    """

    index: int
    stream: str
    score: float | None


Select = Callable[[PoolScores, int, int], list[Pick]]


@dataclass(frozen=True)
class Strategy:
    """A named query strategy.

    ``measure`` is the pixel measure that the pool must be scored with, None when the strategy
    needs nothing of the model; ``select(scores, k, seed)`` returns min(k, N) distinct picks,
    best first. ``features`` says whether it looks at bottleneck features.
    """

    name: str
    measure: str | None
    select: Select
    features: bool = False


def needed(values: Tensor | None, what: str) -> Tensor:
    """The values, or ``ValueError`` that says what the pool was not scored with."""
    if values is None:
        raise ValueError(f"the pool comes without {what}, which this strategy needs")
    return values
