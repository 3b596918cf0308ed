"""What a layout is: how a data set lies in a folder, what makes a case, and how to read it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from app.formats.case import CaseVolume


@dataclass(frozen=True)
class ReadOptions:
    """How a folder is to be read.

    ``channels``: names of the channels that are wanted, in order, or empty for all that the
    layout offers. A number names one of a fourth dimension.
    """

    masks: bool = False
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaseFiles:
    """One case: its name, and how it is read. ``read`` raises ``VolumeInvalid``."""

    name: str
    read: Callable[[], CaseVolume]


@dataclass(frozen=True)
class DataSet:
    """The cases of a folder, and the names of its classes and channels where it says them."""

    cases: Sequence[CaseFiles]
    classes: list[str] | None = None
    channels: list[str] = field(default_factory=lambda: ["image"])


class Layout(Protocol):
    """A way in which data sets lie in folders. ``words``: what it is, in a line."""

    words: str

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The cases of a folder, none of them read yet. Raises ``VolumeInvalid``."""
