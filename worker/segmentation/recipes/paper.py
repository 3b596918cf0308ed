"""The paper's recipe: Adam, cross-entropy, early stop by the validation loss, best weights kept.

Wu et al., section 3.1, and their public code for the augmentation.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor, nn

from app.core.project_settings import TrainingSettings
from worker.segmentation.augmentation import Augmentation
from worker.segmentation.checkpoint import Learner, Standing
from worker.segmentation.evaluating import evaluate, pixel_loss
from worker.segmentation.frames import Batch, Sample, frame
from worker.segmentation.network import Network
from worker.segmentation.recipe import Course, Lesson, Recipe, TrainingDiverged, finite, seed_all

_BATCH_SIZE, _EPOCHS = 32, 100


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to; ``validation_*`` are None without validation slices."""

    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float | None
    validation_dice: float | None

    @property
    def loss(self) -> float:
        """What it is judged by; without validation slices the training loss stands in."""
        return self.train_loss if self.validation_loss is None else self.validation_loss


class Paper(Recipe):
    """Trains until the validation loss has not improved for ``patience`` epochs."""

    stops_by_validation = True
    learning_rate = 1e-4

    def fit(self, model: Network, lesson: Lesson) -> Course:
        """Train in place; the weights of the best epoch are left. Raises ``TrainingDiverged``."""
        settings = lesson.settings
        seed_all(lesson.seed)
        model.placed(lesson.device)
        optimiser = torch.optim.Adam(
            model.parameters(), lr=settings.learning_rate or self.learning_rate
        )
        augment = Augmentation() if settings.augment else nn.Identity()
        order = torch.Generator().manual_seed(lesson.seed)
        best: Epoch | None = None
        state: dict[str, Tensor] = {}
        watched = watched_slices(lesson.validation, settings.max_validation_slices)
        epochs, steps, begun = settings.epochs or _EPOCHS, 0, 0
        learner = Learner({"network": model}, optimiser, lesson.device)
        if lesson.saved is not None:
            steps, begun = lesson.saved.values["steps"], lesson.saved.values["epoch"]
            kept = lesson.saved.part("best")
            best, state = Epoch(**kept.values), kept.tensors
            order.set_state(lesson.saved.tensors["order"])
            learner.restore(lesson.saved)
        for number in range(begun + 1, epochs + 1):
            losses = []
            for batch in _shuffled(lesson.training, settings, order, model.multiple_of):
                lesson.on_step()
                with lesson.clock.part("batches"):
                    changed = augment(batch.to(lesson.device))
                with lesson.clock.part("training steps"):
                    losses.append(_step(model, optimiser, changed))
            steps += len(losses)
            epoch = _assess(model, watched, number, epochs, sum(losses) / len(losses), lesson)
            lesson.on_progress(asdict(epoch))
            if best is None or epoch.loss < best.loss:
                best, state = epoch, _copy(model)
            elif number - best.epoch >= settings.patience:
                break
            if number < epochs:
                lesson.on_checkpoint(partial(_standing, learner, number, steps, order, best, state))
        if best is None:
            raise TrainingDiverged("no epoch was run")
        model.load_state_dict(state)
        model.eval()
        return Course(
            steps,
            best.train_loss,
            {"best_epoch": best.epoch, "epochs": number, "validation_loss": best.validation_loss},
        )


def _standing(
    learner: Learner,
    number: int,
    steps: int,
    order: torch.Generator,
    best: Epoch,
    state: dict[str, Tensor],
) -> Standing:
    """Where it stands after an epoch, with the best one and its weights."""
    standing = learner.standing(epoch=number, steps=steps)
    standing.tensors["order"] = order.get_state()
    return standing.beside(best=Standing(asdict(best), state))


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
    size = settings.batch_size or _BATCH_SIZE
    if not samples:
        raise ValueError("there is no sample to draw")
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
    value = finite(loss)
    loss.backward()
    optimiser.step()
    return value


def _assess(
    model: Network,
    watched: Sequence[Sample],
    number: int,
    epochs: int,
    train_loss: float,
    lesson: Lesson,
) -> Epoch:
    if not watched:
        return Epoch(number, epochs, train_loss, None, None)
    size = lesson.settings.batch_size or _BATCH_SIZE
    with lesson.clock.part("validation"):
        found = evaluate(model, watched, size, lesson.device, surfaces=False)
    return Epoch(number, epochs, train_loss, found["loss"], found["dice_case"])


def _copy(model: Network) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


RECIPE = Paper()
