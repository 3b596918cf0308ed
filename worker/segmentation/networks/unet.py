"""The UNet: four levels down and up, dropout only where it is deep."""

import torch
from torch import Tensor, nn

from worker.segmentation.network import Features
from worker.segmentation.networks._levels import Levels


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


class UNet(Levels):
    """UNet with ``width`` × (1, 2, 4, 8, 16) channels (Ronneberger et al. 2015)."""

    # Four poolings by two.
    multiple_of = 16

    def __init__(
        self,
        classes: int,
        *,
        channels: int = 1,
        context: int = 0,
        width: int = 32,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(classes, channels=channels, context=context, width=width, dropout=dropout)
        levels = [width * 2**level for level in range(5)]
        self.encoder = nn.ModuleList(
            _double_conv(i, o) for i, o in zip([self.planes, *levels[:3]], levels[:4], strict=True)
        )
        self.bottleneck = _double_conv(levels[3], levels[4])
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in reversed(levels[:4])
        )
        self.decoder = nn.ModuleList(_double_conv(2 * c, c) for c in reversed(levels[:4]))
        self.head = nn.Conv2d(width, self.logits, 1)

    def prefix(self, image: Tensor) -> Features:
        """All before the first dropout: the four skips and the bottleneck, shallow to deep."""
        skips = []
        for level in self.encoder:
            image = level(image)
            skips.append(image)
            image = self.pool(image)
        return (*skips, self.bottleneck(image))

    def rise(self, level: int, deep: Tensor, skip: Tensor) -> Tensor:
        """Up by two, beside the skip, convolved twice."""
        raised: Tensor = self.decoder[level](torch.cat([skip, self.up[level](deep)], dim=1))
        return raised

    def last(self, shallow: Tensor) -> Tensor:
        """A convolution 1 × 1."""
        logits: Tensor = self.head(shallow)
        return logits


NETWORK = UNet
