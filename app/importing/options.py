"""How a data set is taken in, and who watches."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from app.core.errors import InvalidInput, SfumatoError
from app.core.geometry import Plane
from app.formats.layout import ReadOptions
from app.loop.datasets import Masks


@dataclass(frozen=True)
class ImportOptions:
    """How a data set is taken in. Fractions left out depend on whether there are masks.

    ``channels``: which of those that the data set offers, by name or number; without any, those
    of the project, or all for a new one. ``check``: look, and keep nothing. ``plane``,
    ``trust_voxels``, ``images`` and ``labels``: see ``formats.layout.ReadOptions``.
    ``pseudonyms``: a file that keeps which case is which; cases go by its names. ``processes``:
    that read and encode; 0 for this one.
    """

    masks: Masks | None = None
    merge: bool = False
    validation: float | None = None
    test: float | None = None
    channels: tuple[str, ...] = ()
    seed: int = 0
    assignments: list[str] = field(default_factory=list)
    check: bool = False
    plane: Plane | None = None
    trust_voxels: bool = False
    images: str | None = None
    labels: str | None = None
    pseudonyms: Path | None = None
    processes: int = 0

    def checked(self) -> Self:
        """Itself. Raises ``InvalidInput``."""
        if self.masks not in (None, "pool", "oracle"):
            raise InvalidInput(f"--with-masks takes pool or oracle, not {self.masks!r}")
        if self.plane not in (None, "axial", "coronal", "sagittal"):
            raise InvalidInput(f"--plane takes axial, coronal or sagittal, not {self.plane!r}")
        return self

    def reading(self, channels: tuple[str, ...]) -> ReadOptions:
        """What of it concerns the readers of files."""
        return ReadOptions(
            masks=self.masks is not None,
            channels=channels,
            plane=self.plane,
            trust_voxels=self.trust_voxels,
            images=self.images,
            labels=self.labels,
        )

    def to_dict(self) -> dict[str, Any]:
        """For the record of an import: how it was asked for, without what is the machine's."""
        own = {"check", "pseudonyms", "processes"}
        if self.pseudonyms:
            # Patterns of file names may hold what the pseudonyms are to hide.
            own |= {"images", "labels"}
        kept = {k: v for k, v in vars(self).items() if k not in own}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}


@dataclass(frozen=True)
class Progress:
    """How far an import has come: cases done of all, slices kept, the case that is being read."""

    cases: int
    total: int
    slices: int
    case: str | None


class ImportStopped(SfumatoError):
    """Whoever watches asked for the import to stop: what is kept stays, and it can go on."""


# Told after each step; raises ``ImportStopped`` to end it.
Watch = Callable[[Progress], None]


def unwatched(progress: Progress) -> None:
    """For whoever does not watch."""
