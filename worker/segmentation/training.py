"""One round's training: Adam, cross-entropy, early stop, the best weights kept."""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from app.core.project_settings import TrainingSettings
from worker.segmentation.augmentation import Augmentation
from worker.segmentation.evaluating import evaluate, pixel_loss
from worker.segmentation.frames import Batch, Sample, frame
from worker.segmentation.network import Network

State = dict[str, Tensor]


class TrainingDiverged(Exception):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to; ``validation_*`` are None without validation slices."""

    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float | None
    validation_dice: float | None


@dataclass(frozen=True)
class Trained:
    """The best weights, and the epoch that they are of."""

    state: State
    best: Epoch
    epochs_run: int


def seed_everything(seed: int) -> None:
    """Seed all generators that training draws from: torch for most, the others for libraries."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def train(
    model: Network,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    settings: TrainingSettings,
    seed: int,
    device: torch.device,
    on_step: Callable[[], None] = lambda: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Train in place until the validation loss has not improved for ``patience`` epochs.

    Without validation slices the training loss stands in. ``on_step`` is called before each
    step and may raise to stop. Raises ``TrainingDiverged``.
    """
    seed_everything(seed)
    model.placed(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    augment = Augmentation() if settings.augment else nn.Identity()
    order = torch.Generator().manual_seed(seed)
    best: Epoch | None = None
    state: State = {}
    watched = watched_slices(validation, settings.max_validation_slices)
    for number in range(1, settings.epochs + 1):
        losses = []
        for batch in _shuffled(training, settings, order, model.multiple_of):
            on_step()
            losses.append(_step(model, optimiser, augment(batch.to(device))))
        epoch = _assess(model, watched, number, settings, sum(losses) / len(losses), device)
        on_epoch(epoch)
        if best is None or _loss(epoch) < _loss(best):
            best, state = epoch, _copy(model)
        elif number - best.epoch >= settings.patience:
            break
    if best is None:
        raise TrainingDiverged("no epoch was run")
    model.load_state_dict(state)
    model.eval()
    return Trained(state, best, number)


def watched_slices(validation: Sequence[Sample], most: int | None) -> Sequence[Sample]:
    """The validation slices that every epoch is judged by: all, or a fixed choice of ``most``.

    Chosen by a hash of case and index, so that it is the same in every round and every run.
    """
    if most is None or len(validation) <= most:
        return validation

    def key(sample: Sample) -> bytes:
        return hashlib.sha256(f"{sample.case}/{sample.index}".encode()).digest()

    return sorted(validation, key=key)[:most]


def _shuffled(
    samples: Sequence[Sample],
    settings: TrainingSettings,
    order: torch.Generator,
    multiple_of: int,
) -> Iterator[Batch]:
    """An epoch: every slice once, or as often as the least number of steps takes."""
    size = settings.batch_size
    indices: list[int] = []
    while not indices or len(indices) < size * (settings.min_steps or 0):
        indices += torch.randperm(len(samples), generator=order).tolist()
    for start in range(0, len(indices), size):
        batch = indices[start : start + size]
        # Batch-norm cannot learn from one value a channel: a lone last slice is doubled.
        yield frame([samples[i] for i in (batch if len(batch) > 1 else batch * 2)], multiple_of)


def _step(model: Network, optimiser: torch.optim.Optimizer, batch: Batch) -> float:
    model.train()
    optimiser.zero_grad()
    loss = pixel_loss(model(batch.image), batch)
    value = float(loss.detach())
    if not np.isfinite(value):
        raise TrainingDiverged(f"the loss is {value}: lower training.learning_rate")
    loss.backward()
    optimiser.step()
    return value


def _assess(
    model: Network,
    validation: Sequence[Sample],
    number: int,
    settings: TrainingSettings,
    train_loss: float,
    device: torch.device,
) -> Epoch:
    if not validation:
        return Epoch(number, settings.epochs, train_loss, None, None)
    found = evaluate(model, validation, settings.batch_size, device, surfaces=False)
    return Epoch(number, settings.epochs, train_loss, found["loss"], found["dice_case"])


def _loss(epoch: Epoch) -> float:
    return epoch.train_loss if epoch.validation_loss is None else epoch.validation_loss


def _copy(model: Network) -> State:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
