"""MONAI's attention UNet in two dimensions."""

import torch
from monai.networks.nets.attentionunet import AttentionLayer, AttentionUnet
from torch import Tensor, nn

from worker.segmentation.network import Features
from worker.segmentation.networks._levels import Levels

_LEVELS = 5


class _Rise(nn.Module):
    """What MONAI's layer does behind the one below it, without holding that one."""

    def __init__(self, layer: AttentionLayer) -> None:
        super().__init__()
        self.up, self.attention, self.merge = layer.upconv, layer.attention, layer.merge

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        below = self.up(deep)
        raised: Tensor = self.merge(torch.cat([self.attention(g=below, x=skip), below], dim=1))
        return raised


class AttentionUNetNetwork(Levels):
    """Attention UNet with ``width`` × (1, 2, 4, 8, 16) channels (Oktay et al. 2018).

    What comes from below says which pixels of a skip count.
    """

    # Four halvings.
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
        net = AttentionUnet(
            spatial_dims=2,
            in_channels=self.planes,
            out_channels=self.logits,
            channels=[width * 2**level for level in range(_LEVELS)],
            strides=[2] * (_LEVELS - 1),
        )
        stem, layer, self.head = net.model
        self.encoder = nn.ModuleList([stem])
        self.decoder = nn.ModuleList()
        # MONAI nests its levels, each within the one above it; here they stand in two rows.
        while isinstance(layer, AttentionLayer):
            self.decoder.insert(0, _Rise(layer))
            below = layer.submodule
            parts = [*below] if isinstance(below, nn.Sequential) else [below]
            self.encoder.append(parts[0])
            layer = parts[-1]

    def prefix(self, image: Tensor) -> Features:
        """The four skips and the bottleneck, shallow to deep."""
        found = []
        for level in self.encoder:
            image = level(image)
            found.append(image)
        return tuple(found)

    def rise(self, level: int, deep: Tensor, skip: Tensor) -> Tensor:
        """Up by two, beside what it attends to of the skip, convolved once."""
        raised: Tensor = self.decoder[level](deep, skip)
        return raised

    def last(self, shallow: Tensor) -> Tensor:
        """A convolution 1 × 1."""
        logits: Tensor = self.head(shallow)
        return logits


NETWORK = AttentionUNetNetwork
