"""A folder as a source of cases: listed first, then read and encoded one case at a time.

Here files become what is kept, and nothing knows of a database: so it can be done in processes of
its own (``app.formats.processes``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from app.core.errors import SfumatoError, VolumeInvalid
from app.core.geometry import Plane, Spacing
from app.core.prepared import PreparedSlice, prepare_image, prepare_mask
from app.core.splits import Split
from app.core.windows import CT_WINDOWS
from app.formats.case import CaseVolume, Classes
from app.formats.detecting import detect_layout
from app.formats.files import is_left_behind
from app.formats.layout import CaseFiles, DataSet, ReadOptions, find_layout

AUTO = "auto"
# Folders that layouts ask for by name.
OF_LAYOUTS = frozenset(
    ["images", "labels", "masks", "imagesTr", "labelsTr", "imagesTs", "labelsTs", "annotations"]
)
# What travels, and is kept, at once: so many slices, or so many bytes.
SLICES_AT_ONCE, _BYTES = 64, 2_000_000


@dataclass(frozen=True)
class Request:
    """What is to be read: a layout of the catalogue or ``auto``, a folder, and how."""

    layout: str
    folder: Path
    options: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True)
class Listing:
    """What lies in a folder. ``found``: what it was taken for, in words.

    ``cases``: their names as the layout gives them, in the order of their numbers.
    """

    layout: str
    found: str
    cases: tuple[str, ...]
    classes: tuple[str, ...] | None
    channels: tuple[str, ...]
    splits: Mapping[str, Split] | None
    left_out: Mapping[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Handling:
    """How a case becomes one of a project.

    ``channels``: which of the case's is each of the project's; ``classes``: the project's names,
    or None where masks are not wanted; ``merge``: one foreground class of all; ``encode``: false
    to be told of the case alone.
    """

    channels: tuple[int, ...]
    classes: tuple[str, ...] | None = None
    merge: bool = False
    encode: bool = True


@dataclass(frozen=True)
class CaseFacts:
    """What a case is, for a report. ``missing``: places between its slices that are empty.

    ``classes``: numbers of those that its masks show, None without masks; ``low``, ``high``: of
    its values, in ``unit``; ``windows``: names under which it can be shown.
    """

    slices: int
    height: int
    width: int
    spacing: Spacing | None
    plane: Plane | None
    classes: tuple[int, ...] | None
    missing: int
    low: float
    high: float
    unit: str | None
    windows: tuple[str, ...]


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
    """The case is whole, or was refused in words; then nothing of it has come."""

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
        self._opened = self._opened or _open(self._request)
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
        said = _Words(self._request.folder)
        try:
            volume, classes = _checked(files, handling)
            begun = _begun(volume, classes, said)
        except SfumatoError as error:
            yield CaseEnded(said.of(str(error)))
            return
        except MemoryError:
            yield CaseEnded("it needs more memory than this machine has: cut it into parts")
            return
        except Exception as error:
            # No file ever stops another. What a library says may quote a header: left out.
            yield CaseEnded(
                f"it cannot be read: a reader failed with {type(error).__name__}, which should "
                "not happen: convert the file with another program, and please report it"
            )
            return
        yield begun
        if handling.encode:
            for part in _parts(volume, classes):
                yield SlicesRead(part)
        yield CaseEnded()


def _open(request: Request) -> tuple[DataSet, Listing]:
    """List what lies at the folder's top, or in the one folder that it holds."""
    said = _Words(request.folder)
    there = [f for f in request.folder.iterdir() if not is_left_behind(f.name)]
    inside = [f for f in there if f.is_dir()]
    if there == inside and len(inside) == 1 and inside[0].name not in OF_LAYOUTS:
        # Nothing but a folder: as archives are packed, and as people point at one.
        return _open(replace(request, folder=inside[0]))
    try:
        opened = _list(request, said)
    except VolumeInvalid as error:
        if len(inside) == 1:
            try:
                return _open(replace(request, folder=inside[0]))
            except VolumeInvalid:
                pass  # the error of the folder that was named says more
        raise VolumeInvalid(said.of(str(error))) from error
    return opened


def _list(request: Request, said: "_Words") -> tuple[DataSet, Listing]:
    layout, found = request.layout, None
    if layout == AUTO:
        layout, detected = detect_layout(request.folder)
        found = detected.words
    reader = find_layout(layout)
    data_set = reader.read(request.folder, request.options)
    return data_set, Listing(
        layout=layout,
        found=said.of(found or reader.words),
        cases=tuple(case.name for case in data_set.cases),
        classes=None if data_set.classes is None else tuple(data_set.classes),
        channels=tuple(data_set.channels),
        splits=data_set.splits,
        left_out=said.of_each(data_set.left_out),
        warnings=tuple(map(said.of, data_set.warnings)),
    )


class _Words:
    """Messages name files as they lie in the folder that was given, wherever that lies."""

    def __init__(self, folder: Path) -> None:
        self._roots = sorted({str(folder), str(folder.resolve())}, key=len, reverse=True)

    def of(self, message: str) -> str:
        for root in self._roots:
            message = message.replace(f"{root}/", "").replace(root, "the folder")
        # Names of files may hold anything: what no terminal or page can show is not passed on.
        return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in message)

    def of_each(self, messages: Mapping[str, str]) -> dict[str, str]:
        return {self.of(file): self.of(why) for file, why in messages.items()}


def _checked(files: CaseFiles, handling: Handling) -> tuple[CaseVolume, Classes | None]:
    """A case with the project's channels, and its classes where they are wanted."""
    volume = files.read()
    if len(volume.channels) != len(handling.channels):
        raise VolumeInvalid(
            f"case {files.name!r} has {len(volume.channels)} channels where "
            f"{len(handling.channels)} are wanted: name them with --channel, or leave the case out"
        )
    volume = replace(volume, channels=tuple(volume.channels[n] for n in handling.channels))
    if handling.classes is None:
        return volume, None
    if volume.classes is None:
        raise VolumeInvalid(f"case {files.name!r} has an image but no label")
    classes = (volume.classes > 0).astype(np.uint8) if handling.merge else volume.classes
    labelled = [n for n in range(volume.depth) if n not in volume.unlabelled]
    highest = max((int(classes[n].max()) for n in labelled), default=0)
    if highest >= len(handling.classes):
        raise VolumeInvalid(
            f"the labels of case {files.name!r} go up to {highest}, but the project has only the "
            f"classes {', '.join(handling.classes)}: merge them with --merge-labels, "
            "or use a project with more classes"
        )
    return volume, classes


def _begun(volume: CaseVolume, classes: Classes | None, said: _Words) -> CaseBegun:
    return CaseBegun(
        facts=_facts(volume, classes),
        affine=volume.geometry.to_list() if volume.geometry else None,
        source=volume.source,
        warnings=tuple(map(said.of, volume.warnings)),
        left_out=said.of_each(volume.left_out),
    )


def _facts(volume: CaseVolume, classes: Classes | None) -> CaseFacts:
    first = volume.channels[0]
    depth, height, width = first.pixels.shape
    ends = np.array(
        [
            first.rescale_of(n).values(np.array([plane.min(), plane.max()]))
            for n, plane in enumerate(first.pixels)
        ]
    )
    present = None
    if classes is not None:
        labelled = [n for n in range(depth) if n not in volume.unlabelled]
        present = tuple(int(n) for n in np.unique(classes[labelled]))
    unit = first.rescale_of(0).unit
    return CaseFacts(
        slices=depth,
        height=height,
        width=width,
        spacing=volume.geometry.spacing if volume.geometry else None,
        plane=volume.geometry.plane if volume.geometry else None,
        classes=present,
        missing=volume.index_of(depth - 1) - volume.index_of(0) + 1 - depth,
        low=float(ends.min()),
        high=float(ends.max()),
        unit=unit,
        windows=tuple(CT_WINDOWS) if unit == "HU" else (),
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
