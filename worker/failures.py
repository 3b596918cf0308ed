"""What an error of a step says: in which words, and whether it may go well another time."""

import traceback
from dataclasses import dataclass

from app.core.errors import SfumatoError
from worker.persistence import OutageTooLong


@dataclass(frozen=True)
class Verdict:
    """``words``: for an admin; ``again``: whether another try may go well."""

    words: str
    again: bool


def judge(error: Exception) -> Verdict:
    """Our own errors say what to do, and would only come again: of settings, labels, networks.

    An outage is over some time, and of what is unknown nobody can say that it would come again.
    """
    if isinstance(error, OutageTooLong):
        return Verdict(str(error), again=True)
    if isinstance(error, SfumatoError):
        return Verdict(str(error), again=False)
    # Of others, all that is known is worth having.
    return Verdict("".join(traceback.format_exception(error)), again=True)
