"""What our UNet and MONAI's networks share: a way down, a way back up, and where dropout stands."""

from abc import abstractmethod

from torch import Tensor, nn

from worker.segmentation.network import Features, Network

# Levels of the decoder, from the deepest, that dropout stands behind.
_DROPPED = 2


class Levels(Network):
    """A network whose decoder has a level for each of the encoder's skips.

    Dropout stands behind the deepest features and behind the two deepest levels of the decoder,
    whatever the network is: so all before it, ``prefix``, is the same in every stochastic pass and
    is run only once, and no network is more uncertain than another for having more dropout.
    """

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
        self.dropout = nn.Dropout2d(dropout)

    @abstractmethod
    def rise(self, level: int, deep: Tensor, skip: Tensor) -> Tensor:
        """One level of the decoder, 0 the deepest: what comes from below with its skip."""

    @abstractmethod
    def last(self, shallow: Tensor) -> Tensor:
        """Logits (N, L, H, W) of what the last level gave."""

    def suffix(self, features: Features) -> Tensor:
        """From the features, shallow to deep, to logits."""
        *skips, deep = features
        deep = self.dropout(deep)
        for level, skip in enumerate(reversed(skips)):
            deep = self.rise(level, deep, skip)
            if level < _DROPPED:
                deep = self.dropout(deep)
        return self.last(deep)
