"""An installation's files are for its own user alone: pictures of patients lie in them."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

_log = structlog.get_logger("sfumato.private")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What `sfumato up` makes in its data folder.
_OURS = ("sfumato.db*", "transfers", "valkey", "server.json", "admin.token", ".admin.token", "lock")


def from_now_on() -> None:
    """Whatever this process makes only its user can open."""
    os.umask(_OTHERS)


@contextmanager
def private_files() -> Iterator[None]:
    """What is made in this block only its user can open."""
    before = os.umask(_OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def close_to_others(data: Path) -> None:
    """Let no other user open what an earlier version made in a data folder, which is held.

    What somebody else owns, or a disk that knows no rights, stays as it is: the log says so.
    """
    for entry in (found for name in _OURS for found in data.glob(name)):
        try:
            mode = stat.S_IMODE(entry.stat().st_mode)
            if mode & _OTHERS:
                entry.chmod(mode & ~_OTHERS)
        except FileNotFoundError:
            # SQLite's, which come and go.
            continue
        except OSError as error:
            _log.warning("other users may open it", path=str(entry), error=error.strerror)
