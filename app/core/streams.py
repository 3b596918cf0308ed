"""Which ranked list asked for a slice, and what that means.

A strategy of one's own may name its lists as it likes, in at most 20 characters.
"""

from enum import StrEnum

LONGEST_STREAM = 20


class Stream(StrEnum):
    """Our own lists; ClaSP PE adds one a class, ``class 1`` and so on."""

    TARGET = "target"
    BOUNDARY = "boundary"
    TOTAL = "total"
    RANDOM = "random"
    FOREGROUND = "foreground"
    DIVERSE = "diverse"
    EXPLORE = "explore"
    INITIAL = "initial"
    RETURNED = "returned"


STREAMS: dict[str, str] = {
    Stream.TARGET: "the model is unsure inside the predicted target",
    Stream.BOUNDARY: "the model is unsure near the predicted outline",
    Stream.TOTAL: "the model is unsure over the whole slice",
    Stream.RANDOM: "drawn at random",
    Stream.FOREGROUND: "drawn among the slices with a predicted target",
    Stream.DIVERSE: "unlike the slices that are labelled",
    Stream.EXPLORE: "drawn for variety, as no target has been found yet",
    Stream.INITIAL: "the first batch, before there was a model",
    Stream.RETURNED: "a reviewer rejected its mask",
}
