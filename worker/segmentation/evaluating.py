"""How good a network is on labelled slices: its loss, and what its predictions come to."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from app.core.errors import InvalidInput
from worker.segmentation.dice import DiceMeter
from worker.segmentation.frames import Batch, Sample, batches, frame
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
    return losses[batch.valid].mean()


def evaluate(
    model: Network, samples: Sequence[Sample], batch_size: int, device: torch.device
) -> dict[str, float | int]:
    """Loss and both forms of Dice over labelled samples, a batch at a time."""
    return evaluate_each([(model, samples)], batch_size, device)


@torch.inference_mode()
def evaluate_each(
    shares: Sequence[tuple[Network, Sequence[Sample]]], batch_size: int, device: torch.device
) -> dict[str, float | int]:
    """As ``evaluate``, over samples that are each judged by a network of their own."""
    meter = DiceMeter(shares[0][0].classes)
    loss, pixels = 0.0, 0
    for model, samples in shares:
        model.eval()
        for group in batches(samples, max(batch_size, _EVALUATION_BATCH), model.multiple_of):
            batch = frame(group, model.multiple_of).to(device)
            if batch.classes is None:
                raise ValueError("evaluation needs masks")
            logits = model(batch.image)
            valid = int(batch.valid.sum())
            loss += float(pixel_loss(logits, batch)) * valid
            pixels += valid
            predicted = predicted_classes(probabilities(logits)) * batch.valid
            meter.add(predicted.cpu(), batch.classes.cpu(), [s.case for s in group])
    return {"loss": loss / max(pixels, 1), **meter.result()}


def predicted_classes(probability: Tensor) -> Tensor:
    """Class indices (N, H, W) of probabilities (N, C, H, W): P > 0.5 for two classes."""
    return probability.argmax(dim=1)
