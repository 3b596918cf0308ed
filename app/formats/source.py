"""A folder as a source of cases: listed first, then read and encoded one case at a time.

Here files become what is kept, and nothing knows of a database: so it can be done in processes of
its own (``app.formats.processes``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np

from app.core.errors import SfumatoError, VolumeInvalid
from app.core.prepared import LARGEST_INDEX, PreparedSlice, prepare_image, prepare_mask
from app.formats.case import CaseVolume, Classes
from app.formats.facts import CaseFacts, facts_of
from app.formats.layout import CaseFiles, DataSet
from app.formats.opening import Listing, Request, Words, open_folder

# What travels, and is kept, at once: so many slices, or so many bytes.
SLICES_AT_ONCE, _BYTES = 64, 2_000_000


@dataclass(frozen=True)
class Handling:
    """How a case becomes one of a project.

    ``channels``: which of the case's is each of the project's; ``classes``: the project's number
    of each of the data set's, or None where masks are not wanted; ``names``: of these;
    ``merge``: one foreground class of all; ``encode``: false to be told of the case alone.
    """

    channels: tuple[int, ...]
    classes: tuple[int, ...] | None = None
    names: tuple[str, ...] = ()
    merge: bool = False
    encode: bool = True


@dataclass(frozen=True)
class CaseBegun:
    """A case could be read: what it is, where it lies, and what is to be said of it."""

    facts: CaseFacts
    affine: list[list[float]] | None
    source: dict[str, Any]
    warnings: tuple[str, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class SlicesRead:
    """Some slices of the case that has begun."""

    slices: Sequence[PreparedSlice]


@dataclass(frozen=True)
class CaseEnded:
    """The case is whole, or was refused in words: nearly always before any slice of it came."""

    refused: str | None = None


CaseEvent = CaseBegun | SlicesRead | CaseEnded


class Source(Protocol):
    """Where cases come from: this process, or others."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

    def listing(self) -> Listing:
        """What there is. Raises ``VolumeInvalid``, ``UnknownName``, ``CannotLoad``."""

    def events(self, numbers: Sequence[int], handling: Handling) -> Iterator[tuple[int, CaseEvent]]:
        """These cases one after the other, each ended by a ``CaseEnded``."""


class LocalSource:
    """Cases read in this process."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._opened: tuple[DataSet, Listing] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def _open(self) -> tuple[DataSet, Listing]:
        self._opened = self._opened or open_folder(self._request)
        return self._opened

    def listing(self) -> Listing:
        """What there is. Raises ``VolumeInvalid``, ``UnknownName``, ``CannotLoad``."""
        return self._open()[1]

    def events(self, numbers: Sequence[int], handling: Handling) -> Iterator[tuple[int, CaseEvent]]:
        """These cases one after the other, each ended by a ``CaseEnded``."""
        cases = self._open()[0].cases
        for number in numbers:
            for event in self.case(cases[number], handling):
                yield number, event

    def case(self, files: CaseFiles, handling: Handling) -> Iterator[CaseEvent]:
        """One case. Whatever its files do to a reader, it ends in words."""
        said = Words(self._request.folder)
        try:
            volume, classes = _checked(files, handling)
            yield _begun(volume, classes, said)
            for part in _parts(volume, classes) if handling.encode else ():
                yield SlicesRead(part)
        except SfumatoError as error:
            yield CaseEnded(said.of(str(error)))
        except MemoryError:
            yield CaseEnded("it needs more memory than this machine has: cut it into parts")
        except Exception as error:
            # No file ever stops another. What a library says may quote a header: left out.
            yield CaseEnded(
                f"it cannot be read: a reader failed with {type(error).__name__}, which should "
                "not happen: convert the file with another program, and please report it"
            )
        else:
            yield CaseEnded()


def _checked(files: CaseFiles, handling: Handling) -> tuple[CaseVolume, Classes | None]:
    """A case with the project's channels, and its classes where they are wanted."""
    volume = files.read()
    if len(volume.channels) != len(handling.channels):
        raise VolumeInvalid(
            f"case {files.name!r} has {len(volume.channels)} channels where "
            f"{len(handling.channels)} are wanted: name them with --channel, or leave the case out"
        )
    if (last := volume.index_of(volume.depth - 1)) > LARGEST_INDEX:
        raise VolumeInvalid(
            f"case {files.name!r} has a slice of the index {last}: it is at most {LARGEST_INDEX}"
        )
    volume = replace(volume, channels=tuple(volume.channels[n] for n in handling.channels))
    if handling.classes is None:
        return volume, None
    if volume.classes is None:
        raise VolumeInvalid(f"case {files.name!r} has an image but no label")
    if handling.merge:
        return volume, (volume.classes > 0).astype(np.uint8)
    labelled = [n for n in range(volume.depth) if n not in volume.unlabelled]
    highest = max((int(volume.classes[n].max()) for n in labelled), default=0)
    if highest >= len(handling.classes):
        raise VolumeInvalid(
            f"the labels of case {files.name!r} go up to {highest}, but only the classes "
            f"{', '.join(handling.names)} have names: merge them with --merge-labels, name them in "
            "the data set, or use a project with more classes"
        )
    # What unlabelled slices hold is nobody's: any number will do.
    numbers = np.zeros(256, dtype=np.uint8)
    numbers[: len(handling.classes)] = handling.classes
    return volume, numbers[volume.classes]


def _begun(volume: CaseVolume, classes: Classes | None, said: Words) -> CaseBegun:
    return CaseBegun(
        facts=facts_of(volume, classes),
        affine=volume.geometry.to_list() if volume.geometry else None,
        source=volume.source,
        warnings=tuple(map(said.of, volume.warnings)),
        left_out=said.of_each(volume.left_out),
    )


def _parts(volume: CaseVolume, classes: Classes | None) -> Iterator[list[PreparedSlice]]:
    part: list[PreparedSlice] = []
    for n in range(volume.depth):
        without = classes is None or n in volume.unlabelled
        part.append(
            PreparedSlice(
                index=volume.index_of(n),
                images={
                    number: prepare_image(channel.pixels[n], channel.rescale_of(n))
                    for number, channel in enumerate(volume.channels)
                },
                mask=None if without or classes is None else prepare_mask(classes[n]),
            )
        )
        if len(part) == SLICES_AT_ONCE or sum(one.bytes for one in part) > _BYTES:
            yield part
            part = []
    if part:
        yield part
