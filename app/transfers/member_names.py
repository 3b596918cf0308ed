"""What the members of an archive are called, and where each goes: always inside of its folder."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

_LONGEST_PART, _DEEPEST = 255, 64
_UTF8 = 0x800
# Where "\" separates and cannot be part of a name: DOS, OS/2, NTFS, VFAT.
DOS_LIKE = frozenset({0, 6, 10, 14})


class LeftOut(Exception):
    """A member that is not unpacked, in words."""


def names_of(infos: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The members' names as they were meant, with "/" between folders."""
    names = [_text(info) for info in infos]
    # Some programs of Windows write "\", which the standard forbids. Elsewhere it may be
    # part of a name, so it separates only where nothing else does.
    alone = not any("/" in name for name in names)
    return [
        name.replace("\\", "/") if alone or info.create_system in DOS_LIKE else name
        for info, name in zip(infos, names, strict=True)
    ]


def _text(info: zipfile.ZipInfo) -> str:
    """A member's name. Without the flag it should be of DOS, and is of UTF-8 where it can be."""
    written = info.orig_filename
    if info.flag_bits & _UTF8:
        return written
    try:
        return written.encode("cp437").decode("utf-8")
    except UnicodeError:
        return written


def parts_of(name: str) -> list[str]:
    """A name's folders and file, without a drive or a root. Raises ``LeftOut``."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise LeftOut("its name leads out of the archive: pack it anew")
    return parts[1:] if parts and re.fullmatch("[A-Za-z]:", parts[0]) else parts


def inside(parts: list[str]) -> PurePosixPath:
    """Where a member goes below the root, whatever its name is. Raises ``LeftOut``."""
    if len(parts) > _DEEPEST:
        raise LeftOut(f"it lies more than {_DEEPEST} folders deep: move it up")
    safe = ["".join(c if c.isprintable() else "_" for c in part) for part in parts]
    if any(len(part.encode("utf-8", "surrogatepass")) > _LONGEST_PART for part in safe):
        raise LeftOut(f"its name is longer than {_LONGEST_PART} bytes: give it a shorter one")
    return PurePosixPath(*safe)


def unused(name: str, taken: Mapping[str, str], numbers: dict[str, int]) -> str:
    """The name, numbered where ``taken`` has it; ``numbers`` keeps the last given to each name.

    A search from 2 each time would take hours for a name that is there a million times.
    """
    key = name
    while key in taken:
        numbers[name] = numbers.get(name, 1) + 1
        key = f"{name} ({numbers[name]})"
    return key
