"""Several networks of one kind that answer together: the mean of their probabilities."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from worker.segmentation.network import Features, Network, probabilities

# Probabilities are kept so far from 0 and 1 that their logits are finite in float32.
_EPSILON = 1e-7


class Ensemble(Network):
    """The mean of its members' probabilities, as logits.

    The spread of the members is an uncertainty too: each is one of the passes that MC-dropout and
    BALD are computed from (Lakshminarayanan et al. 2017).
    """

    def __init__(self, members: Sequence[Network]) -> None:
        first = members[0]
        super().__init__(
            first.classes,
            channels=first.channels,
            context=first.context,
            width=first.width,
            dropout=first.dropout_rate,
        )
        self.multiple_of = first.multiple_of  # type: ignore[misc]
        self.members = nn.ModuleList(members)

    def parts(self) -> list[Network]:
        """The members."""
        return [member for member in self.members if isinstance(member, Network)]

    def begin(self) -> str | None:
        """Each member begins for itself; what the first says is said."""
        return next(iter([member.begin() for member in self.parts()]))

    def described(self) -> dict[str, Any]:
        """What the first member says: they are of one kind."""
        return self.parts()[0].described()

    def prefix(self, image: Tensor) -> Features:
        """Each member's features, one after the other; last, the deepest of all (N, ΣF, h, w)."""
        found = [member.prefix(image) for member in self.parts()]
        deepest = torch.cat([features[-1] for features in found], dim=1)
        return (*(one for features in found for one in features), deepest)

    def suffix(self, features: Features) -> Tensor:
        """Logits of the mean probability."""
        found = [probabilities(logits) for logits in self._each(features)]
        mean = torch.stack(found).mean(dim=0).clamp(_EPSILON, 1 - _EPSILON)
        return torch.logit(mean[:, 1:]) if self.classes == 2 else mean.log()

    def passes(self, features: Features, count: int) -> Iterator[Tensor]:
        """Each member's logits, once: the members are the passes, however many are asked for."""
        yield from self._each(features)

    def _each(self, features: Features) -> Iterator[Tensor]:
        parts = self.parts()
        each = (len(features) - 1) // len(parts)
        for number, member in enumerate(parts):
            yield member.suffix(features[number * each : (number + 1) * each])
