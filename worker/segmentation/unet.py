"""The UNet: four levels down and up, dropout only where it is deep."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn

DOWNSAMPLING = 16  # four poolings by two: heights and widths must be multiples of it

Features = tuple[Tensor, ...]


def _double_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Twice conv 3 × 3, batch-norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """UNet with ``width`` × (1, 2, 4, 8, 16) channels (Ronneberger et al. 2015).

    Input (N, 1, H, W) with H and W multiples of 16; output logits (N, L, H, W), where L is 1
    for two classes and C for more. Dropout stands behind the bottleneck and in the two deepest
    decoder levels, so that all before it, ``prefix``, is the same in every stochastic pass and
    need be run only once.
    """

    def __init__(self, classes: int, width: int = 32, dropout: float = 0.5) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(5)]
        self.classes = classes
        self.encoder = nn.ModuleList(
            _double_conv(i, o) for i, o in zip([1, *channels[:3]], channels[:4], strict=True)
        )
        self.bottleneck = _double_conv(channels[3], channels[4])
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in reversed(channels[:4])
        )
        self.decoder = nn.ModuleList(_double_conv(2 * c, c) for c in reversed(channels[:4]))
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(width, 1 if classes == 2 else classes, 1)

    def prefix(self, image: Tensor) -> Features:
        """All before the first dropout: the four skips and the bottleneck, shallow to deep."""
        skips = []
        for level in self.encoder:
            image = level(image)
            skips.append(image)
            image = self.pool(image)
        return (*skips, self.bottleneck(image))

    def suffix(self, features: Features) -> Tensor:
        """From the features to logits: where dropout is, if it is active."""
        *skips, deep = features
        deep = self.dropout(deep)
        for depth, (up, level) in enumerate(zip(self.up, self.decoder, strict=True)):
            deep = level(torch.cat([skips.pop(), up(deep)], dim=1))
            if depth < 2:
                deep = self.dropout(deep)
        logits: Tensor = self.head(deep)
        return logits

    def placed(self, device: torch.device) -> Self:
        """Moved to a device, in the layout that convolutions are fastest in."""
        moved: Self = self.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return moved

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, L, H, W) of images (N, 1, H, W)."""
        return self.suffix(self.prefix(image))


def probabilities(logits: Tensor) -> Tensor:
    """Class probabilities (N, C, H, W) in float32; one sigmoid channel is widened to two."""
    logits = logits.float()
    if logits.shape[1] > 1:
        return logits.softmax(dim=1)
    return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)


@contextmanager
def active_dropout(model: nn.Module) -> Iterator[None]:
    """Dropout at work while batch-norm keeps its running statistics: for MC-dropout and BALD."""
    layers = [m for m in model.modules() if isinstance(m, nn.Dropout2d)]
    for layer in layers:
        layer.train()
    try:
        yield
    finally:
        for layer in layers:
            layer.eval()
