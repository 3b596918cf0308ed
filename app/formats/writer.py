"""What a format is that data sets go out in: a case, its readings, and who writes them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from app.core import catalogue
from app.core.errors import InvalidInput, VolumeInvalid
from app.core.geometry import Geometry
from app.core.pixels import Pixels, decode
from app.core.rescale import Rescale, Values
from app.core.splits import Split
from app.formats.case import Classes
from app.formats.frame import Frame, frame_of

# What a label map holds where nobody has drawn: no class, so that "unlabelled" is never
# mistaken for background.
UNLABELLED = 255
# Names that a format may also be asked for by.
_ALSO = {"msd": "decathlon"}


@dataclass(frozen=True)
class StoredChannel:
    """One channel of a case as it is kept: a grey PNG of 8 or 16 bits a slice, with its way back.

    One slice is decoded at a time, so that a case takes little more memory than its files.
    """

    pngs: tuple[bytes, ...]
    rescale: tuple[Rescale, ...]

    def pixels(self, slice_: int) -> Pixels:
        """The stored integers (H, W) of a slice of the stack, from 0. Raises ``VolumeInvalid``."""
        return _decoded(self.pngs[slice_], "picture", slice_)

    def values(self, slice_: int) -> Values:
        """The file's values (H, W) of a slice of the stack, from 0."""
        return self.rescale[slice_].values(self.pixels(slice_))

    @property
    def bits(self) -> int:
        """The most bits of a pixel that one of its pictures has, 8 or 16."""
        # The byte after width and height in the first chunk of every PNG.
        return max(png[24] for png in self.pngs)

    @property
    def dtype(self) -> str | None:
        """The type of the values where they are the stored integers themselves."""
        plain = all((way.offset, way.slope, way.intercept) == (0, 1, 0) for way in self.rescale)
        return f"uint{self.bits}" if plain else None


@dataclass(frozen=True)
class Reading:
    """Masks of a case: one reader's, or, with ``reader`` None, the labels that were chosen.

    ``pngs``: class indices of each slice of the stack, None where nobody has drawn.
    ``models``: numbers of the models whose suggestions some of them began with; ``computed``: some
    are what several readers say together.
    """

    reader: str | None
    pngs: tuple[bytes | None, ...]
    models: tuple[int, ...] = ()
    computed: bool = False

    @property
    def labelled(self) -> list[int]:
        """The slices of the stack, from 0, that have a mask."""
        return [n for n, png in enumerate(self.pngs) if png is not None]

    def classes(self, slice_: int) -> Classes:
        """The class indices (H, W) of a slice that has a mask. Raises ``VolumeInvalid``."""
        png = self.pngs[slice_]
        if png is None:
            raise LookupError(f"slice {slice_} has no mask")
        return _decoded(png, "mask", slice_).astype(np.uint8)


def _decoded(png: bytes, what: str, slice_: int) -> Pixels:
    try:
        return decode(png)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise VolumeInvalid(
            f"the {what} that is kept of its slice number {slice_} (from 0) is damaged: restore "
            "the database from a backup, or delete the slice"
        ) from error


@dataclass(frozen=True)
class ExportedCase:
    """A case as it goes out: slices of ``size`` (H, W) with rising ``indices``.

    ``readings``: the chosen labels first, then those of single readers where they were asked
    for. ``channels`` is empty for formats that hold no images.
    """

    name: str
    split: Split
    size: tuple[int, int]
    indices: tuple[int, ...]
    channels: tuple[StoredChannel, ...]
    readings: tuple[Reading, ...]
    geometry: Geometry | None = None
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """How many slices it has."""
        return len(self.indices)

    @property
    def labels(self) -> Reading:
        """The labels that were chosen."""
        return self.readings[0]

    @cached_property
    def frame(self) -> Frame:
        """The grid that a volume of it is written in."""
        return frame_of(self.geometry, self.source, self.indices, self.size)

    def place(self, slice_: int) -> int:
        """Where in a written volume a slice of the stack, from 0, goes."""
        return self.indices[slice_] - self.frame.first

    @property
    def missing(self) -> list[int]:
        """The places of a written volume that no slice has."""
        return sorted(set(range(self.frame.depth)) - {self.place(n) for n in range(self.depth)})


@dataclass(frozen=True)
class About:
    """What a writer is told of the project. ``source``: the folder of the original series, whose
    patients are named in what goes out; None for data sets without patients.
    """

    project: str
    number: int
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    model: Mapping[str, Any] | None = None
    source: Path | None = None


class Target:
    """The folder that an export goes to; it remembers what was written since it was last asked."""

    def __init__(self, folder: Path) -> None:
        """``folder``: made with the first file."""
        self.folder = folder
        # The folders that files were written to, with the last suffixes of these.
        self.kinds: set[tuple[str, str]] = set()
        self._new: list[Path] = []
        self._begun = 0

    def path(self, *parts: str) -> Path:
        """Where a file is to be written; its folder is there. Raises ``InvalidInput``."""
        if any(part in ("", ".", "..") or set("/\\\0") & set(part) for part in parts):
            raise InvalidInput(f"{'/'.join(parts)!r} cannot name a file: rename the case")
        path = self.folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._new.append(path)
        if len(parts) > 1:
            self.kinds.add((parts[0], "".join(path.suffixes[-2:])))
        return path

    def take_new(self) -> list[Path]:
        """The files that were written since the last call."""
        new, self._new, self._begun = self._new, [], 0
        return new

    def begin(self) -> None:
        """From here on, what is written can be undone."""
        self._begun = len(self._new)

    def undo(self) -> None:
        """Remove what was written since ``begin``."""
        for path in self._new[self._begun :]:
            path.unlink(missing_ok=True)
            for folder in path.relative_to(self.folder).parents[:-1]:
                with suppress(OSError):  # other cases' files are in it
                    (self.folder / folder).rmdir()
        del self._new[self._begun :]


class OpenFormat(Protocol):
    """One data set on its way out in a format."""

    def add(self, case: ExportedCase) -> Sequence[str]:
        """Write a case; returns warnings. Raises ``VolumeInvalid`` for what cannot go out."""

    def close(self) -> Sequence[str]:
        """Write what describes the whole; returns what is to be told of it."""


class Writer(Protocol):
    """A format that data sets go out in. ``words``: what it is, in a line; ``images``: whether it
    holds images, or refers to those that are elsewhere.
    """

    words: str
    images: bool

    def open(self, target: Target, about: About) -> OpenFormat:
        """Begin a data set. Raises ``InvalidInput`` for what the format cannot hold."""


def find_writer(name: str) -> Writer:
    """The format of that name. Raises ``UnknownName``, which lists them all."""
    entry = catalogue.find("writer", _ALSO.get(name, name))
    return cast("Writer", catalogue.load(entry))
