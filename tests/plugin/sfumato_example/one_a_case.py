"""The most uncertain slice of each case in turn, by the measure of this package."""

from sfumato import Pick, PoolScores, Strategy


def select(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Of each case its best slice, then of each its second best, and so on."""
    order = scores.total.argsort(descending=True).tolist()
    given: dict[int, int] = {}
    turns = []
    for place, index in enumerate(order):
        case = int(scores.cases[index])
        given[case] = given.get(case, 0) + 1
        turns.append((given[case], place, index))
    best = [index for _, _, index in sorted(turns)[:k]]
    return [Pick(index, "one a case", float(scores.total[index])) for index in best]


# What it calls itself counts for nothing: its entry point names it.
STRATEGY = Strategy("called otherwise", "tsallis", select)
