"""The ideas of the search, each a strategy: `--strategies ideas:NAME` with this folder in
PYTHONPATH. Tried on seeds 100 to 104 of lgg-flair-small alone; README.md has their figures.
"""

import torch

from worker.acquisition import query
from worker.acquisition.beyond import select_random_foreground
from worker.acquisition.diversity import k_centre, power_rank
from worker.acquisition.pool import Pick, PoolScores, needed
from worker.acquisition.strategies import Strategy, select_selective


def _in_turn_by_case(order: list[int], cases: torch.Tensor, k: int) -> list[int]:
    """The first of each case, then the second of each, and so on, each in the order given."""
    turn: dict[int, int] = {}
    keyed = []
    for place, index in enumerate(order):
        case = int(cases[index])
        turn[case] = turn.get(case, -1) + 1
        keyed.append((turn[case], place, index))
    return [index for _, _, index in sorted(keyed)[:k]]


def foreground_cases(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Random foreground, but the cases in turn: no patient is asked for twice before all are."""
    order = [p.index for p in select_random_foreground(scores, len(scores), seed)]
    predicted = needed(scores.foreground, "predicted foreground") > 0
    cases = needed(scores.cases, "cases")
    inside = [i for i in order if predicted[i]]
    outside = [i for i in order if not predicted[i]]
    chosen = _in_turn_by_case(inside, cases, k)
    return [Pick(i, "foreground", None) for i in [*chosen, *outside][:k]]


def selective_cases(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """The selective order (eq. 5), but the cases in turn."""
    picks = {p.index: p for p in select_selective(scores, len(scores), seed)}
    return [picks[i] for i in _in_turn_by_case(list(picks), needed(scores.cases, "cases"), k)]


def selective_and_foreground(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Half selective, half random foreground, in turn."""
    lists = (
        select_selective(scores, len(scores), seed),
        select_random_foreground(scores, len(scores), seed + 1),
    )
    taken: dict[int, Pick] = {}
    for pair in zip(*lists, strict=True):
        for pick in pair:
            if len(taken) < k:
                taken.setdefault(pick.index, pick)
    return list(taken.values())


def proportional_target(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Drawn in proportion to the entropy of the target region (eq. 3), in every round."""
    order = power_rank(scores.target, 1.0, seed, scores.total)[:k].tolist()
    return [Pick(i, "target", float(scores.target[i])) for i in order]


def proportional_boundary(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Drawn in proportion to the entropy near the boundary (eq. 4), in every round."""
    order = power_rank(scores.boundary, 1.0, seed, scores.total)[:k].tolist()
    return [Pick(i, "boundary", float(scores.boundary[i])) for i in order]


def rooted_target(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """By target entropy over the root of the predicted area: small lesions are not drowned."""
    area = needed(scores.foreground, "predicted foreground").double()
    values = scores.target / (area + 1).sqrt()
    order = query.rank(values, seed, scores.total)[:k].tolist()
    return [Pick(i, "target", float(values[i])) for i in order]


def foreground_diverse(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """k-centre over the slices with predicted foreground, away from what is labelled."""
    features = needed(scores.features, "features")
    order = [p.index for p in select_random_foreground(scores, len(scores), seed)]
    inside = [i for i in order if needed(scores.foreground, "foreground")[i] > 0]
    picked = k_centre(features[inside], k, scores.labelled_features) if inside else []
    first = [inside[i] for i in picked]
    rest = [i for i in order if i not in set(first)]
    return [Pick(i, "diverse", None) for i in [*first, *rest][:k]]


def uncertain_cases_power(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Drawn in proportion to boundary entropy, the cases in turn."""
    order = power_rank(scores.boundary, 1.0, seed, scores.total).tolist()
    chosen = _in_turn_by_case(order, needed(scores.cases, "cases"), k)
    return [Pick(i, "boundary", float(scores.boundary[i])) for i in chosen]


FOREGROUND_CASES = Strategy("foreground-cases", "entropy", foreground_cases)
SELECTIVE_CASES = Strategy("selective-cases", "entropy", selective_cases)
HALF_HALF = Strategy("selective-and-foreground", "entropy", selective_and_foreground)
TARGET_1 = Strategy("proportional-target", "entropy", proportional_target)
BOUNDARY_1 = Strategy("proportional-boundary", "entropy", proportional_boundary)
ROOTED = Strategy("rooted-target", "entropy", rooted_target)
FOREGROUND_DIVERSE = Strategy("foreground-diverse", "entropy", foreground_diverse, features=True)
CASES_POWER = Strategy("boundary-cases-power", "entropy", uncertain_cases_power)


def growing(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """First random foreground, then ever more near the boundary; the cases in turn in both.

    The share of the boundary is the share of the budget that is spent.
    """
    uncertain = round(k * scores.progress)
    first = uncertain_cases_power(scores, uncertain, seed)
    taken = {pick.index for pick in first}
    rest = [p for p in foreground_cases(scores, len(scores), seed + 1) if p.index not in taken]
    return [*first, *rest][:k]


def late(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Random foreground with the cases in turn; from half of the budget on by the boundary."""
    select = foreground_cases if scores.progress < 0.5 else proportional_boundary
    return select(scores, k, seed)


GROWING = Strategy("growing-boundary", "entropy", growing)
LATE = Strategy("late-boundary", "entropy", late)
