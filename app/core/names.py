"""Names that come from outside: one rule, because they reach logs, file names and pages."""

import hashlib
import re
import unicodedata

from app.core.errors import InvalidInput

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,127}")
# Cases are named after files: letters and digits of any script, and these.
_OF_CASES = frozenset(" ._+-()[]")
# A file name has 255 bytes at most, of which exports need some for endings.
_LONGEST_CASE, _CASE_BYTES = 128, 200


def is_safe(name: str, longest: int = 128) -> bool:
    """Whether a name holds no path parts, control characters and the like."""
    fits = _SAFE.fullmatch(name) is not None and len(name) <= longest
    return fits and ".." not in name and name == name.strip()


def checked_name(kind: str, name: str, longest: int = 128) -> str:
    """The name itself. Raises ``InvalidInput`` for path parts, control characters and the like."""
    if not is_safe(name, longest):
        raise InvalidInput(
            f"{name[:140]!r} cannot name a {kind}: use letters, digits, spaces and . _ + -, "
            f"beginning with a letter or digit, without '..', at most {longest} characters"
        )
    return name


def checked_case_name(name: str) -> str:
    """The name itself. Raises ``InvalidInput`` where it cannot name a case."""
    if name != safe_case_name(name):
        raise InvalidInput(
            f"{name[:140]!r} cannot name a case: use letters and digits of any script, spaces and "
            f". _ + - ( ) [ ], beginning with a letter or digit, without '..', at most "
            f"{_LONGEST_CASE} characters or {_CASE_BYTES} bytes; {safe_case_name(name)!r} would do"
        )
    return name


def safe_case_name(raw: str) -> str:
    """The nearest name that a case may have: the same for the same, "_" for what it may not hold.

    Umlauts are one character, however the file system writes them.
    """
    name = "".join(
        one if one in _OF_CASES or unicodedata.category(one)[0] in "LMN" else "_"
        for one in unicodedata.normalize("NFC", raw)
    )
    name = re.sub(r"\.\.+", "_", name).lstrip(" ._+-()[]").rstrip(" .") or "case"
    # A mark needs something before it.
    name = name if unicodedata.category(name[0])[0] in "LN" else f"case_{name}"
    if len(name) <= _LONGEST_CASE and len(name.encode()) <= _CASE_BYTES:
        return name
    ending = "-" + hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    while len(name) + len(ending) > _LONGEST_CASE or len((name + ending).encode()) > _CASE_BYTES:
        name = name[:-1]
    return name.rstrip(" .") + ending
