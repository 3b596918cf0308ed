"""What text and numbers from outside may be: checked once, before they reach any database.

Engines differ in what they take (NUL, infinity, integers beyond 64 bits), and people in what they
see: marks that turn the direction of writing make one name look like another.
"""

import math
import unicodedata
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

# Line feeds and tabs are part of comments; all else of category Cc is for machines.
_LAYOUT = "\n\r\t"
_BIDIRECTIONAL = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_LARGEST_INTEGER = 2**63 - 1
# Nothing that is sent has more than four levels; each costs the stack of whoever walks them.
_DEEPEST = 32


def unfit(text: str, layout: str = _LAYOUT) -> str | None:
    """The first character that text from outside must not hold, as U+0000; None if all may be."""
    if text.isascii() and text.isprintable():
        return None
    for one in text:
        controls = unicodedata.category(one) in ("Cc", "Cs") and one not in layout
        if controls or one in _BIDIRECTIONAL:
            return f"U+{ord(one):04X}"
    return None


def plain(value: Any, where: str = "", level: int = 0) -> Any:
    """A value of JSON as it may be kept: text in Unicode's composed form (NFC), numbers in range.

    Raises ``ValueError``, naming the place, for control characters, marks of direction, numbers
    that are infinite or none, integers beyond 64 bits, and lists in lists without an end.
    """
    if level > _DEEPEST:
        raise ValueError(f"{where} lies more than {_DEEPEST} levels deep: send fewer")
    if isinstance(value, str):
        found = unfit(value)
        if found is not None:
            raise ValueError(f"{where or 'the text'} holds the character {found}: leave it out")
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise ValueError(f"{where or 'the number'} has more than 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where or 'the number'} is {value}: give a number")
    if isinstance(value, dict):
        return {
            plain(k, where): plain(v, f"{where}.{k}".lstrip("."), level + 1)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain(one, f"{where}[{n}]", level + 1) for n, one in enumerate(value)]
    return value


class Strict(BaseModel):
    """What comes from outside: nothing unknown, plain text, finite numbers."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return plain(data) if isinstance(data, dict) else data
