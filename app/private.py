"""An installation's files are for its own user alone: pictures of patients lie in them."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OURS = 0o077


def from_now_on() -> None:
    """Whatever this process makes only its user can open."""
    os.umask(_OURS)


def keep_private(data: Path) -> None:
    """The same; make the data folder if there is none, and close what is in it to all users but
    ours and those of its group.
    """
    from_now_on()
    data.mkdir(parents=True, exist_ok=True)
    for entry in data.iterdir():
        mode = entry.lstat().st_mode
        if mode & stat.S_IRWXO and not stat.S_ISLNK(mode):
            entry.chmod(stat.S_IMODE(mode) & ~stat.S_IRWXO)


@contextmanager
def private_files() -> Iterator[None]:
    """What is made in this block only its user can open."""
    before = os.umask(_OURS)
    try:
        yield
    finally:
        os.umask(before)
