"""What cases are called: safe names, all different, or pseudonyms whose key lies elsewhere."""

import csv
import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import InvalidInput
from app.core.names import safe_case_name
from app.formats.files import files_in
from app.formats.opening import OF_LAYOUTS

_HEADER = ("pseudonym", "name")
_OURS = re.compile(r"case-([0-9a-f]{6})-([0-9]+)")


@dataclass(frozen=True)
class Names:
    """The case's name in the project, in the order of the data set; and what was changed."""

    kept: tuple[str, ...]
    changed: dict[str, str]


def safe_names(raw: Sequence[str]) -> Names:
    """Names that a case may have: of two that come to the same, the second gets a number."""
    kept: list[str] = []
    taken: set[str] = set()
    changed: dict[str, str] = {}
    for name in raw:
        safe = one = safe_case_name(name)
        again = 2
        # File systems and people may not tell capitals apart.
        while one.casefold() in taken:
            one, again = f"{safe[:120]}-{again}", again + 1
        taken.add(one.casefold())
        kept.append(one)
        if one != name:
            changed[one] = f"its files are called {name!r}"
    return Names(tuple(kept), changed)


class Pseudonyms:
    """A table of pseudonyms and names in a file of the user's; never in the database.

    A pseudonym is ``case-MARK-NUMBER``: the mark is drawn once for each file, so that cases of
    two files never go by one pseudonym. Names that are not in it yet get the next number, and are
    added before anything is kept.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        """``folder``: whose files' names are withheld too. Raises ``InvalidInput``."""
        self._path = path
        self._known = _read(path)
        parts = {part for file in files_in(folder) for part in file.relative_to(folder).parts}
        parts |= {part.split(".")[0] for part in parts} | {folder.name}
        self._withheld: dict[int, set[str]] = {}
        self._withhold({part for part in parts if len(part) > 1} - OF_LAYOUTS)

    def names(self, raw: Sequence[str], keep: bool = True) -> Names:
        """The pseudonyms of these names; new ones go into the file if they are to be kept.

        Raises ``InvalidInput`` if the file cannot be written.
        """
        try:
            with _alone(self._path) if keep else nullcontext():
                # Another import may have added to it since.
                self._known = _read(self._path)
                self._add([n for n in dict.fromkeys(raw) if n not in self._known], keep)
        except OSError as error:
            raise InvalidInput(f"{self._path} cannot be written: {error}") from error
        self._withhold({name for name in raw if len(name) > 1})
        return Names(tuple(self._known[name] for name in raw), {})

    def _add(self, new: Sequence[str], keep: bool) -> None:
        ours = [found for p in self._known.values() if (found := _OURS.fullmatch(p))]
        mark = ours[0][1] if ours else secrets.token_hex(3)
        first = max((int(found[2]) for found in ours), default=0) + 1
        self._known |= {name: f"case-{mark}-{first + n:04}" for n, name in enumerate(new)}
        if not new or not keep:
            return
        # As a whole, so that an interruption leaves the old table or the new one. Whoever may
        # read the key may undo the pseudonyms.
        beside = self._path.with_name(f"{self._path.name}.part")
        beside.touch(0o600)
        with beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_HEADER)
            writer.writerows((pseudonym, name) for name, pseudonym in self._known.items())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def _withhold(self, words: Iterable[str]) -> None:
        for word in words:
            self._withheld.setdefault(len(word), set()).add(word)

    def without(self, message: str) -> str:
        """A message without the names of the files: each where a word begins, the longest first."""
        kept, place = [], 0
        while place < len(message):
            begins = place == 0 or not message[place - 1].isalnum()
            word = self._at(message, place) if begins else None
            kept.append(message[place] if word is None else self._instead(word))
            place += 1 if word is None else len(word)
        return "".join(kept)

    def _instead(self, word: str) -> str:
        return self._known.get(word, "(name withheld)")

    def _at(self, message: str, place: int) -> str | None:
        for length in sorted(self._withheld, reverse=True):
            end = place + length
            word = message[place:end]
            whole = end >= len(message) or not message[end].isalnum()
            if whole and word in self._withheld[length]:
                return word
        return None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One import at a time reads and adds to a table."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> dict[str, str]:
    """Pseudonyms by name."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"the pseudonyms in {path} cannot be read: {error}") from error
    if rows and tuple(rows[0]) != _HEADER:
        raise InvalidInput(f"{path} is no table of pseudonyms: its first line is not {_HEADER}")
    found = {row[1]: row[0] for row in rows[1:] if len(row) == 2}
    wrong = next((p for p in found.values() if p != safe_case_name(p)), None)
    if wrong is not None or len(set(found.values())) < len(found):
        raise InvalidInput(f"{path} holds a pseudonym twice, or one that names no case: {wrong}")
    return found
