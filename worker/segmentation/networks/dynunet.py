"""MONAI's DynUNet in two dimensions: the network that nnU-Net plans."""

from monai.networks.nets.dynunet import DynUNet
from torch import Tensor, nn

from worker.segmentation.network import Features
from worker.segmentation.networks._levels import Levels

_LEVELS = 5


class DynUNetNetwork(Levels):
    """DynUNet with ``width`` × (1, 2, 4, 8, 16) channels, without deep supervision.

    Strided convolutions, instance-norm and leaky ReLU, as in nnU-Net (Isensee et al. 2021).
    """

    # Four halvings; one more, because instance-norm cannot learn from a bottleneck of one pixel.
    multiple_of = 32

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
        net = DynUNet(
            spatial_dims=2,
            in_channels=self.planes,
            out_channels=self.logits,
            kernel_size=[3] * _LEVELS,
            strides=[1] + [2] * (_LEVELS - 1),
            upsample_kernel_size=[2] * (_LEVELS - 1),
            filters=[width * 2**level for level in range(_LEVELS)],
            deep_supervision=False,
        )
        # Its parts alone: whole, it holds each of them twice, and so would the kept weights.
        self.encoder = nn.ModuleList([net.input_block, *net.downsamples])
        self.bottleneck = net.bottleneck
        self.decoder = net.upsamples
        self.head = net.output_block

    def prefix(self, image: Tensor) -> Features:
        """The four skips and the bottleneck, shallow to deep."""
        skips = []
        for level in self.encoder:
            image = level(image)
            skips.append(image)
        return (*skips, self.bottleneck(image))

    def rise(self, level: int, deep: Tensor, skip: Tensor) -> Tensor:
        """Up by two, beside the skip, convolved twice."""
        raised: Tensor = self.decoder[level](deep, skip)
        return raised

    def last(self, shallow: Tensor) -> Tensor:
        """A convolution 1 × 1."""
        logits: Tensor = self.head(shallow)
        return logits


NETWORK = DynUNetNetwork
