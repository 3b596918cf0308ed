"""What a layout is: how a data set lies in a folder, what makes a case, and how to read it."""

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, cast

from app.core import catalogue
from app.core.errors import CannotLoad, VolumeInvalid
from app.core.geometry import Plane
from app.core.splits import Split
from app.formats.case import CaseVolume

_Found = TypeVar("_Found", bound=Sized)


@dataclass(frozen=True)
class ReadOptions:
    """How a folder is to be read.

    ``channels``: names of the channels that are wanted, in order, or empty for all that the
    layout offers. A number names one of a fourth dimension. ``plane``: that slices are cut in,
    instead of the one they were acquired in. ``trust_voxels``: label maps lie on their images
    voxel by voxel, whatever their headers say. ``images``, ``labels``: patterns of file names
    with {case}, {channel} and {index}, for layouts that take them.
    """

    masks: bool = False
    channels: tuple[str, ...] = ()
    plane: Plane | None = None
    trust_voxels: bool = False
    images: str | None = None
    labels: str | None = None


@dataclass(frozen=True)
class CaseFiles:
    """One case: its name, and how it is read. ``read`` raises ``VolumeInvalid``."""

    name: str
    read: Callable[[], CaseVolume]


@dataclass(frozen=True)
class DataSet:
    """The cases of a folder, and the names of its classes and channels where it says them.

    ``splits``: by case, where the folder says them; ``left_out``: files that belong to no case,
    and why; ``warnings``: what is true of the whole.
    """

    cases: Sequence[CaseFiles]
    classes: list[str] | None = None
    channels: list[str] = field(default_factory=lambda: ["image"])
    splits: Mapping[str, Split] | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Detected:
    """What a layout takes a folder for, in words, and how sure it is: 3 where the folder says so
    itself, 2 by names that only this layout gives, 1 by the kind of files.
    """

    words: str
    certainty: int


class Layout(Protocol):
    """A way in which data sets lie in folders. ``words``: what it is, in a line.

    One that can tell its folders has ``detect(folder) -> Detected | None`` too, which reads
    names and at most a few headers.
    """

    words: str

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """The cases of a folder, none of them read yet. Raises ``VolumeInvalid``."""


def find_layout(name: str) -> Layout:
    """The layout of that name, ours or an installed package's.

    Raises ``UnknownName``, which lists them all, and ``CannotLoad``.
    """
    entry = catalogue.find("layout", name)
    found = catalogue.load(entry)
    if not hasattr(found, "read"):
        raise CannotLoad(f"the layout {name!r} of the package {entry.package} has no read()")
    return cast("Layout", found)


def some(found: _Found, folder: Path, what: str) -> _Found:
    """What was found, if it is not empty. Raises ``VolumeInvalid``."""
    if not len(found):
        raise VolumeInvalid(f"there are no {what} in {folder}")
    return found
