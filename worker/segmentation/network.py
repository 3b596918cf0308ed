"""What a network is to everything else: built from a few numbers, run in two halves."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

Features = tuple[Tensor, ...]


class Network(nn.Module, ABC):
    """A segmentation network.

    Input (N, P, H, W) with P = (2 · context + 1) · channels planes, the slice before first and
    each slice's channels side by side; H and W multiples of ``multiple_of``. Output logits
    (N, L, H, W), where L is 1 for two classes and C for more.

    ``prefix`` runs what is the same in every stochastic pass, ``suffix`` the rest: dropout, as
    layers of torch's, belongs there. The last of the features that ``prefix`` gives, (N, F, h, w),
    is what slices are compared by. A network without such halves gives (image,) or its deepest
    features as they are; one that has no dropout answers every pass alike. ``suffix`` changes no
    features in place: it is run several times on the same ones.

    A worker tries each network when it starts (``worker.segmentation.trial``), at the least
    settings that it accepts; what fails there can be asked for by no project.
    """

    multiple_of: ClassVar[int] = 1
    # What it takes of ``classes``, ``channels``, ``context`` and ``width``, where that is not all:
    # {"width": range(8, 129, 8)}. Other settings are refused when a project is made.
    accepts: ClassVar[Mapping[str, range]] = MappingProxyType({})

    def __init__(
        self,
        classes: int,
        *,
        channels: int = 1,
        context: int = 0,
        width: int = 32,
        dropout: float = 0.5,
    ) -> None:
        """``width`` and ``dropout`` are the project's; a network may read them as it likes."""
        super().__init__()
        self.classes = classes
        self.channels = channels
        self.context = context
        self.width = width
        self.dropout_rate = dropout

    @property
    def planes(self) -> int:
        """Input planes."""
        return (2 * self.context + 1) * self.channels

    @property
    def logits(self) -> int:
        """Output channels."""
        return 1 if self.classes == 2 else self.classes

    def begin(self) -> str | None:
        """Load what was trained before, if the network has such weights.

        Called once when a network is made anew, never where its own weights are restored. Returns
        words for the log. Raises ``InvalidInput`` for weights that cannot be used.
        """
        return None

    def described(self) -> dict[str, Any]:
        """What a model's record says of it beside its settings; plain values."""
        return {}

    @abstractmethod
    def prefix(self, image: Tensor) -> Features:
        """All before the first dropout."""

    @abstractmethod
    def suffix(self, features: Features) -> Tensor:
        """From the features to logits."""

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, L, H, W) of images (N, P, H, W)."""
        return self.suffix(self.prefix(image))

    def passes(self, features: Features, count: int) -> Iterator[Tensor]:
        """Logits (N, L, H, W) of ``count`` stochastic passes over what ``prefix`` gave."""
        with active_dropout(self):
            for _ in range(count):
                yield self.suffix(features)

    def placed(self, device: torch.device) -> Self:
        """Moved to a device, in the layout that convolutions are fastest in."""
        moved: Self = self.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return moved


def probabilities(logits: Tensor) -> Tensor:
    """Class probabilities (N, C, H, W) in float32; one sigmoid channel is widened to two."""
    logits = logits.float()
    if logits.shape[1] > 1:
        return logits.softmax(dim=1)
    return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)


@contextmanager
def active_dropout(model: nn.Module) -> Iterator[None]:
    """Dropout at work while batch-norm keeps its running statistics: for MC-dropout and BALD."""
    layers = [m for m in model.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    for layer in layers:
        layer.train()
    try:
        yield
    finally:
        for layer in layers:
            layer.eval()
