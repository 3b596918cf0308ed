"""What a strategy picked, checked before anybody acts on it: others write strategies too."""

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real

from app.core.errors import InvalidInput
from app.core.streams import LONGEST_STREAM
from worker.acquisition.pool import Pick

_Wrong = Callable[[str], InvalidInput]


def check_picks(strategy: str, picks: Sequence[Pick], k: int, count: int) -> list[Pick]:
    """The picks of a strategy, asked for k of ``count`` slices: min(k, count), all distinct.

    Numbers of NumPy become Python's own. Raises ``InvalidInput``, which names the strategy and
    says what is wrong.
    """

    def wrong(what: str) -> InvalidInput:
        return InvalidInput(f"the strategy {strategy!r} {what}: it is to be fixed there")

    if not isinstance(picks, Sequence):
        raise wrong(f"returned {type(picks).__name__}, not a list of picks")
    checked = [_checked(pick, count, wrong) for pick in picks]
    if len({pick.index for pick in checked}) < len(checked):
        raise wrong("picked a slice twice")
    if len(checked) != min(k, count):
        raise wrong(f"picked {len(checked)} slices where {min(k, count)} were asked for")
    return checked


def _checked(pick: object, count: int, wrong: _Wrong) -> Pick:
    if not isinstance(pick, Pick):
        raise wrong(f"returned {type(pick).__name__} in place of a pick")
    index, stream, score = vars(pick).values()
    if not isinstance(index, Integral) or not 0 <= int(index) < count:
        raise wrong(f"picked slice {index!r}, which is not one of 0 to {count - 1}")
    if not isinstance(stream, str) or not 1 <= len(stream) <= LONGEST_STREAM:
        raise wrong(f"named the stream {stream!r}, which must have 1 to {LONGEST_STREAM} letters")
    if score is not None and not (isinstance(score, Real) and math.isfinite(score)):
        raise wrong(f"gave slice {index} the score {score!r}, which is no finite number")
    return Pick(int(index), str(stream), None if score is None else float(score))
