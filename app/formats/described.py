"""What a data set says of itself: JSON files beside the images, and names of classes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.errors import VolumeInvalid
from app.core.splits import Split

# As many classes as a project may have, and as long names.
MOST_CLASSES, LONGEST_NAME = 64, 64
# Bytes of a description: more is no description, and would fill the memory.
_LONGEST = 2**28
# What our own exports write beside images and labels.
OURS = "sfumato.json"


def read_json(path: Path) -> Any:
    """What a JSON file holds, in any encoding of Unicode, with a byte order mark or without.

    Raises ``VolumeInvalid``.
    """
    try:
        if path.stat().st_size > _LONGEST:
            raise VolumeInvalid(f"{path} is too long for a description: {path.stat().st_size} B")
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise VolumeInvalid(f"{path} is not there") from error
    except (OSError, ValueError, RecursionError) as error:
        raise VolumeInvalid(f"{path} is not a readable JSON file: {error}") from error


def checked_classes(names: Sequence[str], path: Path) -> list[str]:
    """Names of classes that a project may have. Raises ``VolumeInvalid`` in words."""
    if len(names) > MOST_CLASSES:
        raise VolumeInvalid(
            f"{path} names {len(names)} classes, a project has at most {MOST_CLASSES}: merge some "
            "of them in the label maps and in this file"
        )
    for n, name in enumerate(names):
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
            raise VolumeInvalid(
                f"{path} calls class {n} {name[:80]!r}: a name has from 1 to {LONGEST_NAME} "
                "characters that can be printed"
            )
    folded = [name.casefold() for name in names]
    doubled = [name for n, name in enumerate(names) if folded[n] in folded[:n]]
    if doubled:
        raise VolumeInvalid(
            f"{path} names a class twice: {', '.join(doubled)}; give each class a name of its own"
        )
    if len(names) < 2:
        raise VolumeInvalid(
            f"{path} names {len(names)} classes: the background and at least one other are needed"
        )
    return list(names)


def described(folder: Path, name: str) -> Path:
    """The folder that holds a description: this, or the only one in it that does."""
    if not (folder / name).is_file():
        below = [path.parent for path in folder.glob(f"*/{name}") if not path.is_symlink()]
        if len(below) == 1:
            return below[0]
    return folder


def in_order(names: Mapping[int, str], what: str, path: Path) -> list[str]:
    """Names by number, which go from 0 up. Raises ``VolumeInvalid``."""
    if sorted(names) != list(range(len(names))):
        found = ", ".join(map(str, sorted(names)[:70]))
        raise VolumeInvalid(
            f"{path} numbers the {what} {found}: they go from 0 up without a gap; renumber them, "
            "or name those that are missing"
        )
    return [names[n] for n in range(len(names))]


def inside(folder: Path, name: Any, where: Path) -> Path:
    """A file that a description names. Raises ``VolumeInvalid`` where it lies elsewhere."""
    path = folder / str(name)
    try:
        lies_inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        lies_inside = False  # a name that no file can have
    if not lies_inside:
        raise VolumeInvalid(f"{where} names {str(name)[:200]}, which lies outside of {folder}")
    return path


@dataclass(frozen=True)
class OurNotes:
    """What an export of ours says of the images and labels beside it.

    ``cases``: by case what is to be known of it, as its format has it.
    """

    classes: list[str] | None = None
    channels: list[str] | None = None
    ignore: int | None = None
    splits: dict[str, Split] = field(default_factory=dict)
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)


def our_notes(folder: Path) -> OurNotes:
    """From ``sfumato.json``, where there is one. Raises ``VolumeInvalid`` for one that is none."""
    path = folder / OURS
    if not path.is_file():
        return OurNotes()
    found = read_json(path)
    try:
        classes, channels = found.get("classes"), found.get("channels")
        ignore = found.get("ignore")
        return OurNotes(
            None if classes is None else checked_classes([str(name) for name in classes], path),
            None if channels is None else [str(name) for name in channels],
            None if ignore is None else int(ignore),
            splits_of(found.get("splits") or {}, path),
            {str(case): dict(facts) for case, facts in (found.get("cases") or {}).items()},
        )
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise VolumeInvalid(f"{path} is not what an export writes: {error}") from error


# What other formats call our splits.
_SPLITS = {"train": Split.POOL, "val": Split.VALIDATION}


def splits_of(named: Mapping[str, Any], path: Path) -> dict[str, Split]:
    """The split of each case. Raises ``VolumeInvalid`` for one that there is not."""
    try:
        return {
            str(case): _SPLITS.get(str(split)) or Split(str(split)) for case, split in named.items()
        }
    except ValueError as error:
        known = ", ".join(split.value for split in Split)
        raise VolumeInvalid(f"{path} names a split that is none of {known}: {error}") from error
