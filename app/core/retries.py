"""How often what has failed is tried again by itself, and after which pauses."""

from dataclasses import dataclass
from datetime import timedelta

# Each pause is so many times the one before: what lasts for long is not asked often.
_GROWTH = 4


@dataclass(frozen=True)
class Retries:
    """``most``: tries after the first; ``first``: the pause before the first of them."""

    most: int = 3
    first: timedelta = timedelta(minutes=1)

    def pause(self, failures: int) -> timedelta | None:
        """The pause after so many failures (1 or more); None where it stays failed."""
        return self.first * _GROWTH ** (failures - 1) if failures <= self.most else None
