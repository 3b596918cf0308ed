"""How good a network is on labelled slices: its loss, and what its predictions come to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from app.core.errors import InvalidInput
from worker.segmentation.frames import Batch, Sample, batches, frame
from worker.segmentation.metrics.meter import Meter
from worker.segmentation.metrics.volumes import TOLERANCE_MM
from worker.segmentation.network import Network, probabilities

# Without gradients a larger batch is always faster.
_EVALUATION_BATCH = 32


def pixel_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy over valid pixels; binary cross-entropy for one logit a pixel."""
    if batch.classes is None:
        raise ValueError("the batch has no classes to learn from")
    if logits.shape[2:] != batch.valid.shape[1:]:
        raise InvalidInput(
            f"the network gave logits of {tuple(logits.shape[2:])} pixels for pictures of "
            f"{tuple(batch.valid.shape[1:])}"
        )
    if logits.shape[1] == 1:
        expected = batch.classes.float()
        losses = nn.functional.binary_cross_entropy_with_logits(
            logits[:, 0], expected, reduction="none"
        )
    else:
        losses = nn.functional.cross_entropy(logits, batch.classes, reduction="none")
    counted = losses[batch.valid]
    # Of tiny slices an augmentation may turn every pixel out of sight: nothing to learn, not NaN.
    return counted.mean() if counted.numel() else counted.sum()


def evaluate(
    model: Network,
    samples: Sequence[Sample],
    batch_size: int,
    device: torch.device,
    surfaces: bool = True,
    tolerance_mm: float = TOLERANCE_MM,
) -> dict[str, Any]:
    """``loss`` and all that ``Meter`` tells over labelled samples, a batch at a time.

    ``surfaces``: with surfaces and lesions, which is for once a round, not for every epoch;
    ``tolerance_mm``: of the normalised surface Dice.
    """
    return evaluate_each([(model, samples)], batch_size, device, surfaces, tolerance_mm)


@torch.inference_mode()
def evaluate_each(
    shares: Sequence[tuple[Network, Sequence[Sample]]],
    batch_size: int,
    device: torch.device,
    surfaces: bool = True,
    tolerance_mm: float = TOLERANCE_MM,
) -> dict[str, Any]:
    """As ``evaluate``, over samples that are each judged by a network of their own."""
    meter = Meter(shares[0][0].classes, surfaces, tolerance_mm)
    loss, pixels = 0.0, 0
    for model, samples in shares:
        model.eval()
        for group in batches(samples, max(batch_size, _EVALUATION_BATCH), model.multiple_of):
            batch = frame(group, model.multiple_of).to(device)
            logits = model(batch.image)
            valid = int(batch.valid.sum())
            loss += float(pixel_loss(logits, batch)) * valid
            pixels += valid
            meter.add(probabilities(logits), group)
    return {"loss": loss / max(pixels, 1), **meter.result()}


@torch.inference_mode()
def predictions(
    model: Network, samples: Sequence[Sample], device: torch.device
) -> list[npt.NDArray[np.uint8]]:
    """Class indices (H, W) of each sample's slice, as the network sees it without passes."""
    model.eval()
    found: list[npt.NDArray[np.uint8]] = []
    for group in batches(samples, _EVALUATION_BATCH, model.multiple_of):
        batch = frame(group, model.multiple_of).to(device)
        classes = predicted_classes(probabilities(model(batch.image)))
        for sample, seen in zip(group, classes, strict=True):
            height, width = sample.image.shape[-2:]
            found.append(seen[:height, :width].to(torch.uint8).cpu().numpy())
    return found


def predicted_classes(probability: Tensor) -> Tensor:
    """Class indices (N, H, W) of probabilities (N, C, H, W): P > 0.5 for two classes."""
    return probability.argmax(dim=1)
