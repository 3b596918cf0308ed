"""What a recipe is: how one network learns from labelled slices."""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from app.core.errors import SfumatoError
from app.core.project_settings import TrainingSettings
from worker.segmentation.checkpoint import Standing
from worker.segmentation.clock import Clock
from worker.segmentation.evaluating import predicted_classes
from worker.segmentation.frames import Sample, batches, frame
from worker.segmentation.network import Network, probabilities
from worker.segmentation.precision import FLOAT32, Precision

# Labelled slices of each class that a collapse is looked for on.
_LOOKED_AT = 16
# A class that makes up so much of the foreground is missed if hardly any of it is predicted.
_COMMON, _HARDLY = 0.2, 0.02


class TrainingDiverged(SfumatoError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Narrow:
    """The classes that a network predicts and those that its labels hold, where it misses some.

    Both are empty where the loss was no number, and the network nothing to ask.
    """

    predicted: list[int]
    labelled: list[int]

    def __str__(self) -> str:
        return (
            f"of the classes {_listed(self.labelled)} it predicts {_listed(self.predicted)} alone"
        )


def _listed(classes: Sequence[int]) -> str:
    return ", ".join(map(str, classes)) or "none"


class Collapsed(Exception):
    """In the middle of a training the network misses classes that its labels are full of."""

    def __init__(self, found: Narrow, step: int) -> None:
        super().__init__(f"at step {step}: {found}")
        self.found = found
        self.step = step


def seed_all(seed: int) -> None:
    """Seed all generators that training draws from: torch for most, the others for libraries."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def finite(loss: Tensor) -> float:
    """The value of a loss. Raises ``TrainingDiverged`` where it is no number."""
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingDiverged(f"the loss is {value}: lower training.learning_rate")
    return value


def _nothing(*_: object) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Lesson:
    """What a network learns from, and how.

    ``validation``: slices to stop by, for recipes that do; ``watched``: whether a collapse is to
    be raised as soon as it is seen; ``least_steps``: of each network, where a recipe counts in
    steps; ``precision``: of forward passes, where a recipe uses it;
    ``clock``: told of the seconds spent on training steps. ``on_step`` is called before each step
    and may raise to stop; ``on_progress`` is told now and then how far the training is, in plain
    values.

    A recipe that can be gone on with calls ``on_checkpoint`` where that is so, with what gives
    its standing, and starts at ``saved`` where that is given. One that does neither begins its
    network anew when its worker was lost.
    """

    training: Sequence[Sample]
    settings: TrainingSettings
    seed: int
    device: torch.device
    validation: Sequence[Sample] = ()
    watched: bool = False
    least_steps: int = 0
    precision: Precision = FLOAT32
    clock: Clock = field(default_factory=Clock)
    on_step: Callable[[], None] = _nothing
    on_progress: Callable[[dict[str, Any]], None] = _nothing
    saved: Standing | None = None
    on_checkpoint: Callable[[Callable[[], Standing]], None] = _nothing


@dataclass(frozen=True)
class Course:
    """How a training went: optimiser steps, and what else the recipe has to say of it."""

    steps: int
    train_loss: float
    notes: dict[str, Any]


class Recipe(ABC):
    """A way to train: one file in ``recipes/``, asked for by name as ``training.recipe``.

    ``stops_by_validation``: labelled slices must be held out for it to stop by. ``guarded``: a
    network that collapses is trained anew, and one that is worse than its parent is held back.
    ``members``: how many networks are trained and averaged where the settings do not say.
    """

    stops_by_validation: ClassVar[bool] = False
    guarded: ClassVar[bool] = False
    members: ClassVar[int] = 1
    learning_rate: ClassVar[float] = 1e-4

    def expected_steps(self, slices: int, settings: TrainingSettings) -> int:
        """Steps that a network takes to learn from so many slices; 0 where nobody can know."""
        return 0

    @abstractmethod
    def fit(self, model: Network, lesson: Lesson) -> Course:
        """Train in place; the network is left in eval mode.

        Raises ``TrainingDiverged``; ``Collapsed`` if the lesson is watched.
        """


@torch.inference_mode()
def narrow(network: Network, samples: Sequence[Sample], device: torch.device) -> Narrow | None:
    """What a network predicts of labelled slices, if it misses a class that they are full of.

    Background counts, and each foreground class with at least a fifth of the labelled foreground;
    it is missed if less than a fiftieth as many pixels are predicted as labelled. A few slices of
    each class are looked at, spread over all. None as well where there is no target to find.
    """
    labelled = torch.zeros(network.classes, dtype=torch.long)
    predicted = torch.zeros_like(labelled)
    network.eval()
    for group in batches(_telling(samples, network.classes), 32, network.multiple_of):
        batch = frame(group, network.multiple_of).to(device)
        found = predicted_classes(probabilities(network(batch.image)))[batch.valid]
        predicted += torch.bincount(found, minlength=network.classes).cpu()
        if batch.classes is not None:
            marks = batch.classes[batch.valid]
            labelled += torch.bincount(marks, minlength=network.classes).cpu()
    common = labelled >= _COMMON * labelled[1:].sum()
    held = ((labelled > 0) & common).nonzero().flatten().tolist()
    there = [c for c in held if predicted[c] >= _HARDLY * labelled[c]]
    return None if len(there) == len(held) else Narrow(there, held)


def _telling(samples: Sequence[Sample], classes: int) -> list[Sample]:
    """Slices with a target, of each class a few that lie far apart."""
    chosen: set[int] = set()
    for number in range(1, classes):
        of_class = [
            n
            for n, s in enumerate(samples)
            if s.classes is not None and (s.classes == number).any()
        ]
        chosen.update(of_class[:: -(-len(of_class) // _LOOKED_AT) or 1])
    return [samples[n] for n in sorted(chosen)]
