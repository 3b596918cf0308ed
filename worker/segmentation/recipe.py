"""What a recipe is: how one network learns from labelled slices."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from app.core.project_settings import TrainingSettings
from worker.segmentation.frames import Sample
from worker.segmentation.network import Network


class TrainingDiverged(Exception):
    """The loss is no number any more."""


def _nothing(*_: object) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Lesson:
    """What a network learns from, and how.

    ``validation``: slices to stop by, for recipes that do; ``warm``: whether the network comes with
    the last round's weights. ``on_step`` is called before each step and may raise to stop;
    ``on_progress`` is told now and then how far the training is, in plain values.
    """

    training: Sequence[Sample]
    settings: TrainingSettings
    seed: int
    device: torch.device
    validation: Sequence[Sample] = ()
    warm: bool = False
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

    ``stops_by_validation``: labelled slices must be held out for it to stop by. ``members``: how
    many networks are trained and averaged where the settings do not say.
    """

    stops_by_validation: ClassVar[bool] = False
    members: ClassVar[int] = 1
    learning_rate: ClassVar[float] = 1e-4

    @abstractmethod
    def fit(self, model: Network, lesson: Lesson) -> Course:
        """Train in place; the network is left in eval mode. Raises ``TrainingDiverged``."""
