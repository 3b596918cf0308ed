"""Names that come from outside: one rule, because they reach logs, file names and pages."""

import re

from app.core.errors import InvalidInput

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,127}")


def checked_name(kind: str, name: str, longest: int = 128) -> str:
    """The name itself. Raises ``InvalidInput`` for path parts, control characters and the like."""
    if not _SAFE.fullmatch(name) or ".." in name or len(name) > longest or name != name.strip():
        raise InvalidInput(
            f"{name[:140]!r} cannot name a {kind}: use letters, digits, spaces and . _ + -, "
            f"beginning with a letter or digit, without '..', at most {longest} characters"
        )
    return name
