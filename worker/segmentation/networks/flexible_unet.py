"""MONAI's FlexibleUNet in two dimensions, on an encoder that may be pretrained."""

from typing import Any, ClassVar

import torch
from monai.networks.nets.flexible_unet import FlexibleUNet
from torch import Tensor, nn

from app.settings import Settings
from worker.segmentation import pretrained
from worker.segmentation.network import Features
from worker.segmentation.networks._levels import Levels

# What an EfficientNet classifies with and an encoder never runs.
_CLASSIFIER = ("_conv_head_padding", "_conv_head", "_bn1", "_avg_pooling", "_dropout", "_fc")
# Bits of a SHA-256.
_DIGEST = 256


class FlexibleUNetNetwork(Levels):
    """FlexibleUNet on an EfficientNet-B0; its decoder has ``width`` × (16, 8, 4, 2, 1) channels.

    The encoder's widths are its own. Its pretrained weights are a file of the folder that
    ``SFUMATO_ENCODER_WEIGHTS`` names; without one it starts untrained, and says so.
    """

    # Five halvings.
    multiple_of = 32
    backbone: ClassVar[str] = "efficientnet-b0"
    encoder_digest: Tensor

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
        net = FlexibleUNet(
            in_channels=self.planes,
            out_channels=self.logits,
            backbone=self.backbone,
            pretrained=False,
            decoder_channels=tuple(width * 2**level for level in range(4, -1, -1)),
            spatial_dims=2,
        )
        for name in _CLASSIFIER:
            if hasattr(net.encoder, name):
                delattr(net.encoder, name)
        self.encoder = net.encoder
        *deeper, self.shallowest = net.decoder.blocks
        self.decoder = nn.ModuleList(deeper)
        self.head = net.segmentation_head
        # Kept with the weights, so that every model that comes of them can say where they began;
        # as bits, because the mean of several steps' numbers would be rounded.
        self.register_buffer("encoder_digest", torch.zeros(_DIGEST, dtype=torch.bool))

    def begin(self) -> str:
        """Load the encoder's weights, if there is a file of them."""
        folder = Settings().encoder_weights
        path = pretrained.find(folder, self.backbone)
        if path is None:
            return f"the encoder {self.backbone} starts untrained: " + (
                f"{folder} holds no weights of it" if folder else "no SFUMATO_ENCODER_WEIGHTS"
            )
        self.encoder.load_state_dict(pretrained.fitting(path, self.encoder, self.planes))
        bits = f"{int(pretrained.sha256(path), 16):0{_DIGEST}b}"
        self.encoder_digest.copy_(torch.tensor([bit == "1" for bit in bits]))
        return f"the encoder {self.backbone} starts from {path.name}"

    def described(self) -> dict[str, Any]:
        """Which encoder, and the SHA-256 of the pretrained weights it began with, if any."""
        digest = int("".join("01"[bit] for bit in self.encoder_digest.tolist()), 2)
        told = f"{digest:0{_DIGEST // 4}x}" if digest else None
        return {"encoder": self.backbone, "encoder_weights": told}

    def prefix(self, image: Tensor) -> Features:
        """The encoder's five outputs, shallow to deep."""
        return tuple(self.encoder(image))

    def rise(self, level: int, deep: Tensor, skip: Tensor) -> Tensor:
        """Up by two, beside the skip, convolved twice."""
        raised: Tensor = self.decoder[level](deep, skip)
        return raised

    def last(self, shallow: Tensor) -> Tensor:
        """Up to the picture's size, where there is no skip, and a convolution 3 × 3."""
        logits: Tensor = self.head(self.shallowest(shallow, None))
        return logits


NETWORK = FlexibleUNetNetwork
