"""A folder taken for a data set: by which layout, what it lists, and words that name its files."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.core.errors import SfumatoError, VolumeInvalid
from app.core.splits import Split
from app.formats.detecting import detect_layout
from app.formats.files import is_left_behind
from app.formats.layout import DataSet, ReadOptions, find_layout

AUTO = "auto"
_LABELS = frozenset(["labels", "masks", "labelsTr", "labelsTs"])
# Folders that layouts ask for by name.
OF_LAYOUTS = frozenset(
    ["images", "labels", "masks", "imagesTr", "labelsTr", "imagesTs", "labelsTs", "annotations"]
)


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


class Words:
    """Messages name files as they lie in the folder that was given, wherever that lies."""

    def __init__(self, folder: Path) -> None:
        """``folder``: absolute, or parts of words would be taken for it."""
        roots = sorted({str(folder.absolute()), str(folder.resolve())}, key=len, reverse=True)
        whole = "|".join(re.escape(root) for root in roots if root != "/") or "(?!)"
        self._below = re.compile(rf"(?:{whole})/")
        self._itself = re.compile(rf"(?:{whole})(?![\w.-])")

    def of(self, message: str) -> str:
        """A message with short names of files, and nothing that no page or terminal can show."""
        message = self._itself.sub("the folder", self._below.sub("", message))
        # Names of files may hold anything.
        return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in message)

    def of_each(self, messages: Mapping[str, str]) -> dict[str, str]:
        """The same of messages by files."""
        return {self.of(file): self.of(why) for file, why in messages.items()}


def open_folder(request: Request) -> tuple[DataSet, Listing]:
    """List what lies at the folder's top, or in the one folder that it holds.

    Raises ``VolumeInvalid``, ``UnknownName``, ``CannotLoad``, and nothing else whatever lies there.
    """
    said = Words(request.folder)
    try:
        return _opened(request, said)
    except VolumeInvalid as error:
        raise VolumeInvalid(said.of(str(error))) from error
    except SfumatoError:
        raise
    except Exception as error:
        raise VolumeInvalid(
            f"the folder cannot be listed: a reader failed with {type(error).__name__}, which "
            "should not happen: please report it"
        ) from error


def _opened(request: Request, said: Words) -> tuple[DataSet, Listing]:
    there = [f for f in request.folder.iterdir() if not is_left_behind(f.name)]
    # A link may lead anywhere, also back.
    inside = [f for f in there if f.is_dir() and not f.is_symlink()]
    # A folder of label maps alone holds nothing to annotate.
    one = len(inside) == 1 and inside[0].name not in _LABELS
    deeper = replace(request, folder=inside[0]) if one else None
    if deeper and there == inside and deeper.folder.name not in OF_LAYOUTS:
        # Nothing but a folder: as archives are packed, and as people point at one.
        return _opened(deeper, said)
    try:
        return _list(request, said)
    except VolumeInvalid:
        if deeper:
            # The error of the folder that was named says more.
            with suppress(VolumeInvalid):
                return _opened(deeper, said)
        raise


def _list(request: Request, said: Words) -> tuple[DataSet, Listing]:
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
