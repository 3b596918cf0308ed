"""Files of a folder as people mean them: in natural order, without what systems leave behind."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

_LEFT_BEHIND = frozenset({"__macosx", "thumbs.db", "desktop.ini", "icon\r"})
_DIGITS = re.compile(r"([0-9]+)")


def files_in(folder: Path) -> list[Path]:
    """All files at any depth, in natural order of their paths; linked folders are not entered.

    Left out without a word: hidden files (``._000.png`` of macOS among them), ``__MACOSX``, and
    the thumbnails and settings that file managers write.
    """
    return sorted(_walk(folder), key=lambda path: natural(str(path.relative_to(folder))))


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A key by which IM2 comes before IM10; no two names have the same."""
    parts = _DIGITS.split(name)
    # Odd places hold digits; the text itself settles what is equal as a number (1 and 01).
    key = [
        (int(part), part) if odd % 2 else (-1, part.casefold()) for odd, part in enumerate(parts)
    ]
    # And what is equal but for capitals: else the disk would say which of two cases is "a-2".
    return (*key, (-2, name))


def name_of(path: Path, folder: Path) -> str:
    """What a case at ``path`` is called: its way from the imported folder, joined by "_".

    So two patients' folders of one name stay apart. The folder itself goes by its own name.
    """
    parts = path.relative_to(folder).parts
    return "_".join(parts) if parts else folder.resolve().name


def is_left_behind(name: str) -> bool:
    """Whether a file or folder of that name is nobody's data."""
    return name.startswith(".") or name.casefold() in _LEFT_BEHIND


def _walk(folder: Path) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # a folder that may not be read holds nothing that we could name
    for entry in entries:
        if is_left_behind(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif entry.is_file(follow_symlinks=True):
            yield Path(entry.path)
