"""For whom, and from where, the present request or thread works: what the audit trail notes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """``account``: the number of whoever asked for what a thread of ours does; ``address``: a hash
    of where a request comes from.
    """

    account: int | None = None
    address: str | None = None


_NOBODY = Caller()
_present: ContextVar[Caller] = ContextVar("caller", default=_NOBODY)


def present() -> Caller:
    """For whom, and from where."""
    return _present.get()


@contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Work for a caller within the block."""
    before = _present.set(caller)
    try:
        yield
    finally:
        _present.reset(before)
