"""Patterns of file names, such as images/{case}/{index}.png: which file is what of which case."""

import re
from collections.abc import Iterable
from pathlib import Path

from app.core.errors import VolumeInvalid

# A case and a channel are parts of a name, an index is a number; * stands for anything.
_FIELDS = {"case": r"[^/]+?", "channel": r"[^/]+?", "index": r"[0-9]+"}
_PARTS = re.compile(r"(\{[^{}]*\}|\*+)")


class Pattern:
    """A pattern of paths below a folder."""

    def __init__(self, text: str, fields: Iterable[str]) -> None:
        """Raise ``VolumeInvalid`` for a field that is none of these, and without ``{case}``."""
        known = list(fields)
        expression = ""
        seen: set[str] = set()
        for part in _PARTS.split(text.removeprefix("./")):
            if part.startswith("{"):
                name = part[1:-1]
                if name not in known:
                    raise VolumeInvalid(
                        f"the pattern {text!r} has a field {part}: it may have "
                        f"{', '.join(f'{{{one}}}' for one in known)}, and * for anything"
                    )
                expression += f"(?P={name})" if name in seen else f"(?P<{name}>{_FIELDS[name]})"
                seen.add(name)
            elif part.startswith("*"):
                expression += ".*" if len(part) > 1 else "[^/]*"
            else:
                expression += re.escape(part)
        if "case" not in seen:
            raise VolumeInvalid(f"the pattern {text!r} has no {{case}}, which names the case")
        self.text = text
        self.fields = frozenset(seen)
        self._expression = re.compile(expression)

    def match(self, path: Path, folder: Path) -> dict[str, str] | None:
        """What the fields stand for in a file below ``folder``; None for another file."""
        found = self._expression.fullmatch(path.relative_to(folder).as_posix())
        return found.groupdict() if found else None
