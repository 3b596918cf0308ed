"""Streamed scoring: slices flow through, one number a region a measure is kept of each.

One forward pass serves every deterministic measure and every region. The stochastic measures
run the deterministic prefix once and keep two running means instead of all passes. No map
outlives its batch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.acquisition import uncertainty
from worker.acquisition.query import aggregate
from worker.acquisition.regions import boundary_region, target_region
from worker.segmentation.frames import Sample, batches, frame
from worker.segmentation.precision import Precision
from worker.segmentation.training import predicted_classes
from worker.segmentation.unet import UNet, active_dropout, probabilities

_DETERMINISTIC = {
    "entropy": uncertainty.entropy,
    "least-confidence": uncertainty.least_confidence,
    "margin": uncertainty.margin,
}


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
    """One measure of one slice: its sums over the regions, and their pixels."""

    measure: str
    total: float
    target: float
    boundary: float
    pixels: int
    target_pixels: int
    boundary_pixels: int


@dataclass(frozen=True)
class Maps:
    """A batch's maps: probability (N, C, H, W), valid (N, H, W), and each measure (N, H, W).

    ``mean_probability`` is the mean of the stochastic passes, where there were any: the
    regions of the stochastic measures are of it, those of the others of ``probability``.
    """

    samples: list[Sample]
    probability: Tensor
    valid: Tensor
    measures: dict[str, Tensor]
    mean_probability: Tensor | None = None


def score(
    model: UNet,
    samples: Iterable[Sample],
    measure: str,
    settings: ScoringSettings,
    device: torch.device,
    precision: Precision,
) -> Iterator[list[RegionSums]]:
    """The sums of each sample, in order: of every measure that the pass for ``measure`` gives."""
    for maps in predict(model, samples, measure, settings, device, precision):
        yield from _sums(maps, settings)


@torch.inference_mode()
def predict(
    model: UNet,
    samples: Iterable[Sample],
    measure: str,
    settings: ScoringSettings,
    device: torch.device,
    precision: Precision,
) -> Iterator[Maps]:
    """Each batch's maps, as they stream by; ``measure`` says whether passes are stochastic."""
    model.eval()
    stochastic = measure not in _DETERMINISTIC
    torch.manual_seed(settings.seed)
    for group in batches(samples, settings.batch_size):
        batch = frame(group).to(device)
        with precision.autocast(device):
            features = model.prefix(batch.image)
            probability = probabilities(model.suffix(features))
        measures = {name: function(probability) for name, function in _DETERMINISTIC.items()}
        if not stochastic:
            yield Maps(group, probability, batch.valid, measures)
            continue
        with precision.autocast(device):
            mean, mean_entropy = _stochastic_means(model, features, settings.mc_passes)
        measures["mc-dropout"] = uncertainty.entropy(mean)
        measures["bald"] = uncertainty.mutual_information_of_means(mean, mean_entropy)
        yield Maps(group, probability, batch.valid, measures, mean)


def _stochastic_means(
    model: UNet, features: tuple[Tensor, ...], passes: int
) -> tuple[Tensor, Tensor]:
    """Mean probability (N, C, H, W) and mean entropy (N, H, W) over passes with dropout."""
    mean_probability = mean_entropy = torch.zeros(())
    with active_dropout(model):
        for n in range(1, passes + 1):
            probability = probabilities(model.suffix(features))
            mean_probability = mean_probability + (probability - mean_probability) / n
            mean_entropy = mean_entropy + (uncertainty.entropy(probability) - mean_entropy) / n
    return mean_probability, mean_entropy


def _sums(maps: Maps, settings: ScoringSettings) -> Iterator[list[RegionSums]]:
    by_measure = []
    for measure, map_ in maps.measures.items():
        mean = maps.mean_probability
        probability = maps.probability if measure in _DETERMINISTIC or mean is None else mean
        target = target_region(probability, settings.target_threshold) & maps.valid
        boundary = boundary_region(probability, settings.boundary_width) & maps.valid
        by_measure.append(
            [
                RegionSums(measure, *sums)
                for sums in zip(
                    *(aggregate(map_, r).tolist() for r in (maps.valid, target, boundary)),
                    *(r.sum(dim=(1, 2)).tolist() for r in (maps.valid, target, boundary)),
                    strict=True,
                )
            ]
        )
    for of_slice in zip(*by_measure, strict=True):
        yield list(of_slice)


def classes_of(maps: Maps) -> Tensor:
    """The predicted class indices (N, H, W), background on the padding."""
    return predicted_classes(maps.probability) * maps.valid
