"""Two convolutions: no dropout, no halves, no padding."""

import torch
from torch import Tensor, nn

from sfumato import Network


class Tiny(Network):
    """Begins with calling bright pixels of the first plane the target, and learns from there."""

    def __init__(self, classes: int, **options) -> None:
        super().__init__(classes, **options)
        self.look = nn.Conv2d(self.planes, 4, 3, padding=1)
        self.head = nn.Conv2d(4, self.logits, 1)
        with torch.no_grad():
            self.look.weight[0].zero_()
            self.look.weight[0, 0, 1, 1] = 1
            self.head.weight[-1, 0] = 4

    def prefix(self, image: Tensor) -> tuple[Tensor, ...]:
        """Nothing is worth keeping for further passes."""
        return (image,)

    def suffix(self, features: tuple[Tensor, ...]) -> Tensor:
        """All of it."""
        return self.head(self.look(features[0]).relu())


NETWORK = Tiny
