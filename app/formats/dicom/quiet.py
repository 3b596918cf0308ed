"""Nothing that a header says reaches a log, a warning or a message by way of a library.

pydicom and the decoders quote the values of elements where they complain, and these may be a
patient's name. So their words are neither shown nor passed on.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pydicom import config

T = TypeVar("T")

# Lines of these libraries are written nowhere, at no level.
for _name in ("pydicom", "highdicom", "pylibjpeg", "openjpeg", "libjpeg", "rle"):
    _logger = logging.getLogger(_name)
    _logger.propagate = False
    _logger.setLevel(logging.CRITICAL + 1)
# What breaks a rule of writing only is read as it is: whether it makes sense is judged here.
config.settings.reading_validation_mode = config.IGNORE


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, no library warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def attempt(read: Callable[[], T]) -> T | None:
    """What ``read`` returns, or None where it fails, whatever it raises.

    The error is dropped with its words: a damaged file makes libraries raise anything at all,
    and an error that is chained to ours would be logged with the values that it quotes.
    """
    try:
        with quiet():
            return read()
    except Exception:  # see above: damaged bytes lead anywhere
        return None
