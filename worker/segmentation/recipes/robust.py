"""The service's own recipe: a fixed number of steps, averaged weights, no validation to stop by."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from app.core.project_settings import TrainingSettings
from worker.segmentation.augmentation import Augmentation, Strength, Variation
from worker.segmentation.checkpoint import Learner
from worker.segmentation.frames import Batch, Sample, frame
from worker.segmentation.losses import DiceAndCrossEntropy
from worker.segmentation.network import Network
from worker.segmentation.precision import Precision
from worker.segmentation.recipe import Collapsed, Course, Lesson, Recipe, finite, narrow, seed_all

# Progress is told so many times a training.
_REPORTS = 20
# The weights of so near steps are much the same: averaging each would only take time.
_AVERAGED_EVERY = 5


@dataclass(frozen=True)
class Plan:
    """The recipe's numbers; docs/results/recipe-search changes them one at a time."""

    weight_decay: float = 1e-2
    warm_up: float = 0.1
    batch_size: int = 8
    least_steps: int = 900
    passes: float = 48.0
    averaged_steps: float = 100.0
    with_target: float = 0.5
    dice: float = 1.0
    cross_entropy: float = 1.0
    clip: float = 1.0
    papers_augmentation: bool = False
    strength: Strength = field(default_factory=Strength)


class Robust(Recipe):
    """A fixed number of steps of AdamW with warm-up and cosine; the weights' moving average."""

    guarded = True
    members = 3
    learning_rate = 2e-3
    plan = Plan()

    def fit(self, model: Network, lesson: Lesson) -> Course:
        """Train in place; the averaged weights are left in the network, in eval mode."""
        plan, settings = self.plan, lesson.settings
        seed_all(lesson.seed)
        model.placed(lesson.device)
        size = settings.batch_size or plan.batch_size
        steps = max(self.expected_steps(len(lesson.training), settings), lesson.least_steps)
        rate = settings.learning_rate or self.learning_rate
        optimiser = torch.optim.AdamW(
            model.parameters(), rate, weight_decay=plan.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda n: self._rate(n, steps))
        # Over a fifth of a short training at most: its first weights must not weigh in its last.
        horizon = max(1.0, min(plan.averaged_steps, steps / 5))
        average = get_ema_multi_avg_fn((1 - 1 / horizon) ** _AVERAGED_EVERY)
        averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
        augment = self._augmentation(settings.augment)
        loss_of = DiceAndCrossEntropy(model.classes, plan.dice, plan.cross_entropy)
        rng = np.random.default_rng(lesson.seed)
        modules = {"network": model, "averaged": averaged}
        learner = Learner(modules, optimiser, lesson.device, schedule)
        begun, recent = 0, 0.0
        deck = draws(lesson.training, size, plan.with_target, model.classes, rng)
        model.train()
        if lesson.saved is not None:
            begun, recent = lesson.saved.values["step"], lesson.saved.values["loss"]
            # What was drawn by then is drawn again: that is quicker than keeping how it stood.
            for _ in range(begun):
                next(deck)
            learner.restore(lesson.saved)
        for step in range(begun, steps):
            lesson.on_step()
            if lesson.watched and 0 < step == steps // 2:
                _check(model, lesson, step)
            with lesson.clock.part("batches"):
                batch = augment(frame(next(deck), model.multiple_of).to(lesson.device))
            with lesson.clock.part("training steps"):
                loss = _step(model, optimiser, loss_of, batch, plan.clip, lesson.precision)
                schedule.step()
                if step % _AVERAGED_EVERY == 0 or step == steps - 1:
                    averaged.update_parameters(model)
            recent = loss if step == 0 else 0.95 * recent + 0.05 * loss
            if (step + 1) % max(1, steps // _REPORTS) == 0:
                lesson.on_progress({"step": step + 1, "steps": steps, "train_loss": recent})
            lesson.on_checkpoint(partial(learner.standing, step=step + 1, loss=recent))
        model.load_state_dict(averaged.module.state_dict())
        model.eval()
        return Course(steps, recent, {})

    def expected_steps(self, slices: int, settings: TrainingSettings) -> int:
        """As the settings say, or so many that each slice is seen often enough."""
        if settings.steps is not None:
            return settings.steps
        size = settings.batch_size or self.plan.batch_size
        steps = max(self.plan.least_steps, math.ceil(self.plan.passes * slices / size))
        if settings.epochs is not None:
            steps = min(steps, settings.epochs * math.ceil(slices / size))
        return steps

    def _rate(self, step: int, steps: int) -> float:
        """The share of the learning rate at a step: a line up, then half a cosine down."""
        warm_up = max(1, round(self.plan.warm_up * steps))
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.01 + 0.99 * 0.5 * (
            1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up + 1))
        )

    def _augmentation(self, wanted: bool) -> nn.Module:
        if not wanted:
            return nn.Identity()
        return Augmentation() if self.plan.papers_augmentation else Variation(self.plan.strength)


def _check(model: Network, lesson: Lesson, step: int) -> None:
    """Half of the time is not spent on a network that will come to nothing."""
    found = narrow(model, lesson.training, lesson.device)
    if found is not None:
        raise Collapsed(found, step)
    model.train()


def _step(
    model: Network,
    optimiser: torch.optim.Optimizer,
    loss_of: nn.Module,
    batch: Batch,
    clip: float,
    precision: Precision,
) -> float:
    optimiser.zero_grad()
    with precision.autocast(batch.image.device):
        logits = model(batch.image)
    loss: Tensor = loss_of(logits.float(), batch)
    value = finite(loss)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimiser.step()
    return value


def draws(
    samples: Sequence[Sample], size: int, with_target: float, classes: int, rng: np.random.Generator
) -> Iterator[list[Sample]]:
    """Batches without end; a share of each holds targets, every class in turn.

    Blank slices are most of what is labelled at first: drawn evenly, few batches would show
    anything to learn.
    """
    if not samples:
        raise ValueError("there is no sample to draw")
    holding = [
        np.array(
            [n for n, s in enumerate(samples) if s.classes is not None and (s.classes == c).any()]
        )
        for c in range(1, classes)
    ]
    targets = [_endless(indices, rng) for indices in holding if len(indices)]
    every = _endless(np.arange(len(samples)), rng)
    due, turn = 0.0, 0
    while True:
        batch = []
        for _ in range(max(size, 2)):
            due += with_target if targets else 0.0
            if due >= 1:
                due -= 1
                batch.append(samples[next(targets[turn % len(targets)])])
                turn += 1
            else:
                batch.append(samples[next(every)])
        yield batch


def _endless(indices: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Every index once before any comes again."""
    while True:
        yield from rng.permutation(indices).tolist()


RECIPE = Robust()
