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

from app.core.project_settings import TrainingSettings
from worker.segmentation.clock import Clock
from worker.segmentation.evaluating import predicted_classes
from worker.segmentation.frames import Sample, batches, frame
from worker.segmentation.network import Network, probabilities
from worker.segmentation.precision import FLOAT32, Precision

# Labelled slices that a collapse is looked for on.
_LOOKED_AT = 32


class TrainingDiverged(Exception):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Narrow:
    """What a network predicts and what its labels hold, where it predicts a single class alone."""

    predicted: list[int]
    labelled: list[int]


class Collapsed(Exception):
    """In the middle of a training the network predicts a single class; labels hold others."""

    def __init__(self, found: Narrow, step: int) -> None:
        super().__init__(f"at step {step} the network predicts class {found.predicted} alone")
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
    """What a network predicts of labelled slices, if that is one class and its labels hold others.

    Only slices with a target are looked at, a few: a network that finds nothing in them finds
    nothing. None as well where there is no target to find.
    """
    holding = [s for s in samples if s.classes is not None and s.classes.any()][:_LOOKED_AT]
    labelled: set[int] = set()
    predicted: set[int] = set()
    network.eval()
    for group in batches(holding, _LOOKED_AT, network.multiple_of):
        batch = frame(group, network.multiple_of).to(device)
        found = predicted_classes(probabilities(network(batch.image)))[batch.valid]
        predicted |= set(found.unique().tolist())
        if batch.classes is not None:
            labelled |= set(batch.classes[batch.valid].unique().tolist())
    if len(predicted) != 1 or not labelled - predicted:
        return None
    return Narrow(sorted(predicted), sorted(labelled))
