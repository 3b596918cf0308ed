"""Names that come from outside: one rule, because they reach logs, file names and pages."""

import re

from app.core.errors import InvalidInput

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,127}")


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
