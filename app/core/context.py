"""The neighbours of a slice that the network is shown with it."""

from collections.abc import Container


def context_indices(index: int, context: int, known: Container[int]) -> list[int]:
    """The indices of the 2n + 1 slices around one, n = ``context``, in the order of the case.

    Where a neighbour is missing, at the case's end or in a gap, the last one before it on the
    way out from the centre is repeated.
    """
    before, after = [index], [index]
    for away in range(1, context + 1):
        before.append(index - away if index - away in known else before[-1])
        after.append(index + away if index + away in known else after[-1])
    return [*before[:0:-1], *after]
