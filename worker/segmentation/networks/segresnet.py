"""MONAI's SegResNet in two dimensions."""

import math

from monai.networks.nets.segresnet import SegResNet
from torch import Tensor

from worker.segmentation.network import Features
from worker.segmentation.networks._levels import Levels


class SegResNetNetwork(Levels):
    """SegResNet with ``width`` × (1, 2, 4, 8) channels and 1, 2, 2, 4 residual blocks going down.

    Residual blocks with group-norm, skips that are added (Myronenko 2018, without the autoencoder).
    """

    # Three halvings.
    multiple_of = 8

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
        net = SegResNet(
            spatial_dims=2,
            init_filters=width,
            in_channels=self.planes,
            out_channels=self.logits,
            # MONAI's eight groups, or as many as every width can be divided by.
            norm=("group", {"num_groups": math.gcd(8, width)}),
        )
        self.stem = net.convInit
        self.encoder = net.down_layers
        self.up = net.up_samples
        self.decoder = net.up_layers
        self.head = net.conv_final

    def prefix(self, image: Tensor) -> Features:
        """The three skips and the deepest features, shallow to deep."""
        found = []
        image = self.stem(image)
        for level in self.encoder:
            image = level(image)
            found.append(image)
        return tuple(found)

    def rise(self, level: int, deep: Tensor, skip: Tensor) -> Tensor:
        """Up by two, the skip added, one residual block."""
        raised: Tensor = self.decoder[level](self.up[level](deep) + skip)
        return raised

    def last(self, shallow: Tensor) -> Tensor:
        """Group-norm, ReLU, a convolution 1 × 1."""
        logits: Tensor = self.head(shallow)
        return logits


NETWORK = SegResNetNetwork
