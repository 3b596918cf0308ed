"""What was found, how bad it is, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is: what is wrong keeps somebody from working, or will."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One line: about what, what was found, and, unless it is well, what to do."""

    about: str
    state: State
    words: str
    advice: str = ""


def ok(about: str, words: str) -> Finding:
    """It is well."""
    return Finding(about, State.OK, words)


def warning(about: str, words: str, advice: str) -> Finding:
    """It works, and may hurt some day."""
    return Finding(about, State.WARNING, words, advice)


def wrong(about: str, words: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(about, State.WRONG, words, advice)


def first_line(error: BaseException) -> str:
    """What an error says, without what a library adds below; its kind where it says nothing."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
