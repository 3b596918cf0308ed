"""Streamed scoring: slices flow through, one number a region a measure is kept of each.

One forward pass serves every deterministic measure and every region. The stochastic measures
run the deterministic prefix once and keep two running means instead of all passes. No map
outlives its batch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from app.core.seeds import derived_seed
from worker.acquisition import uncertainty
from worker.acquisition.query import aggregate
from worker.acquisition.regions import boundary_region, target_region
from worker.registry import find_measure, own_measures
from worker.segmentation.evaluating import predicted_classes
from worker.segmentation.frames import Sample, batches, frame
from worker.segmentation.measuring import checked_maps
from worker.segmentation.network import Network, probabilities
from worker.segmentation.precision import Precision

Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ScoringSettings:
    """Thresholds T (eq. 1) and B (eq. 2), passes of the stochastic measures, and the seed."""

    target_threshold: float = 0.1
    boundary_width: float = 0.1
    mc_passes: int = 10
    batch_size: int = 8
    seed: int = 0


@dataclass(frozen=True)
class RegionSums:
    """One measure of one slice: its sums over the regions, and their pixels.

    ``by_class``: Σ P(c|p) · measure over all pixels, for each foreground class c.
    """

    measure: str
    total: float
    target: float
    boundary: float
    pixels: int
    target_pixels: int
    boundary_pixels: int
    by_class: list[float]


@dataclass(frozen=True)
class SliceScores:
    """All that one pass says of a slice: sums by measure, predicted foreground, features (F,)."""

    measures: list[RegionSums]
    foreground_pixels: int
    features: Features


@dataclass(frozen=True)
class Maps:
    """A batch's maps: probability (N, C, H, W), valid (N, H, W), and each measure (N, H, W).

    ``features`` (N, F): the bottleneck's channels, averaged over the valid picture.

    ``mean_probability`` is the mean of the stochastic passes, where there were any: the
    regions of the stochastic measures are of it, those of the others of ``probability``.
    """

    samples: list[Sample]
    probability: Tensor
    valid: Tensor
    measures: dict[str, Tensor]
    features: Tensor
    mean_probability: Tensor | None = None


def score(
    model: Network,
    samples: Iterable[Sample],
    measure: str,
    settings: ScoringSettings,
    device: torch.device,
    precision: Precision,
) -> Iterator[SliceScores]:
    """What each sample scores, in order: by every measure that the pass for ``measure`` gives."""
    for maps in predict(model, samples, measure, settings, device, precision):
        yield from _sums(maps, settings)


@torch.inference_mode()
def predict(
    model: Network,
    samples: Iterable[Sample],
    measure: str,
    settings: ScoringSettings,
    device: torch.device,
    precision: Precision,
) -> Iterator[Maps]:
    """Each batch's maps, as they stream by: of ``measure``, and of ours that come with it.

    A deterministic pass serves all our deterministic measures. Only a stochastic measure runs
    passes with dropout, which then serve all our stochastic ones too. Raises ``InvalidInput``
    for a measure that gives no map of numbers from 0.
    """
    model.eval()
    wanted = {**own_measures(), measure: find_measure(measure)}
    of_one_pass = {name: m for name, m in wanted.items() if not m.stochastic}
    of_passes = {name: m for name, m in wanted.items() if m.stochastic}
    for group in batches(samples, settings.batch_size, model.multiple_of):
        batch = frame(group, model.multiple_of).to(device)
        with precision.autocast(device):
            features = model.prefix(batch.image)
            probability = probabilities(model.suffix(features))
        measures = {name: one.of(probability) for name, one in of_one_pass.items()}
        mean = None
        if wanted[measure].stochastic:
            # By what is in the batch: it must not count how the pool is shared among workers.
            torch.manual_seed(derived_seed(settings.seed, group[0].case, group[0].index))
            with precision.autocast(device):
                means = _stochastic_means(model, features, settings.mc_passes)
            measures |= {name: one.of(*means) for name, one in of_passes.items()}
            mean = means[0]
        measures = checked_maps(measures, probability)
        pooled = _pooled(features[-1], batch.valid)
        yield Maps(group, probability, batch.valid, measures, pooled, mean)


def _pooled(deep: Tensor, valid: Tensor) -> Tensor:
    """Bottleneck channels (N, F, h, w) averaged over the picture without its padding: (N, F)."""
    weights = torch.nn.functional.adaptive_avg_pool2d(
        valid.float()[:, None], (deep.shape[2], deep.shape[3])
    )
    return (deep.float() * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))


@torch.inference_mode()
def pooled_features(
    model: Network,
    samples: Iterable[Sample],
    batch_size: int,
    device: torch.device,
    precision: Precision,
) -> Features:
    """The bottleneck features (N, F) of each sample, in order: the encoder alone runs."""
    model.eval()
    rows = []
    for group in batches(samples, batch_size, model.multiple_of):
        batch = frame(group, model.multiple_of).to(device)
        with precision.autocast(device):
            deep = model.prefix(batch.image)[-1]
        rows.append(_pooled(deep, batch.valid).cpu().numpy())
    return np.concatenate(rows) if rows else np.zeros((0, 0), dtype=np.float32)


def _stochastic_means(
    model: Network, features: tuple[Tensor, ...], passes: int
) -> tuple[Tensor, Tensor]:
    """Mean probability (N, C, H, W) and mean entropy (N, H, W) over stochastic passes."""
    mean_probability = mean_entropy = torch.zeros(())
    for n, logits in enumerate(model.passes(features, passes), start=1):
        probability = probabilities(logits)
        mean_probability = mean_probability + (probability - mean_probability) / n
        mean_entropy = mean_entropy + (uncertainty.entropy(probability) - mean_entropy) / n
    return mean_probability, mean_entropy


def _sums(maps: Maps, settings: ScoringSettings) -> Iterator[SliceScores]:
    by_measure = [_region_sums(name, maps, settings) for name in maps.measures]
    foreground = (classes_of(maps) > 0).sum(dim=(1, 2)).tolist()
    features = maps.features.cpu().numpy()
    for n, of_slice in enumerate(zip(*by_measure, strict=True)):
        yield SliceScores(list(of_slice), foreground[n], features[n])


def _region_sums(measure: str, maps: Maps, settings: ScoringSettings) -> list[RegionSums]:
    """One measure of each slice of a batch."""
    map_, mean = maps.measures[measure], maps.mean_probability
    stochastic = find_measure(measure).stochastic
    probability = mean if stochastic and mean is not None else maps.probability
    target = target_region(probability, settings.target_threshold) & maps.valid
    boundary = boundary_region(probability, settings.boundary_width) & maps.valid
    regions = (maps.valid, target, boundary)
    foreground = range(1, probability.shape[1])
    weighted = [aggregate(probability[:, c] * map_, maps.valid) for c in foreground]
    columns = (
        *(aggregate(map_, region).tolist() for region in regions),
        *(region.sum(dim=(1, 2)).tolist() for region in regions),
        torch.stack(weighted, dim=1).tolist(),
    )
    return [RegionSums(measure, *of_slice) for of_slice in zip(*columns, strict=True)]


def classes_of(maps: Maps) -> Tensor:
    """The predicted class indices (N, H, W), background on the padding."""
    return predicted_classes(maps.probability) * maps.valid
