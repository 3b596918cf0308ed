"""Ideas for what to ask for when minutes count, each a strategy: `--strategies ideas:NAME`.

Tried on seeds 100 to 109 of lgg-flair-small alone, by the recipe `robust`; README.md says how.
"""

import math

import torch
from torch import Tensor

from worker.acquisition import query
from worker.acquisition.diversity import inverse_temperature, k_centre, power_rank
from worker.acquisition.pool import Pick, PoolScores, needed
from worker.acquisition.strategies import Strategy

# Seconds to look at a slice, and to draw a pixel's side where the model is unsure.
_LOOK, _SIDE = 5.0, 0.8
_SHORTLIST = 3


def in_turn_by_case(order: list[int], cases: Tensor, k: int) -> list[int]:
    """The first of each case, then the second of each, and so on, each in the order given."""
    turn: dict[int, int] = {}
    keyed = []
    for place, index in enumerate(order):
        case = int(cases[index])
        turn[case] = turn.get(case, -1) + 1
        keyed.append((turn[case], place, index))
    return [index for _, _, index in sorted(keyed)[:k]]


def means(scores: PoolScores) -> tuple[Tensor, Tensor]:
    """Eqs. 3 and 4 as means over their regions, whatever the project's reduction is."""
    target = scores.target / needed(scores.target_pixels, "target pixels").clamp(min=1)
    boundary = scores.boundary / needed(scores.boundary_pixels, "boundary pixels").clamp(min=1)
    return target, boundary


def seconds(scores: PoolScores) -> Tensor:
    """What a slice is likely to take: a look, and what of its suggestion is likely to change.

    An outline of the predicted target, or the band in which the model is unsure, whichever is less.
    """
    area = needed(scores.foreground, "predicted foreground").double()
    outline = 2 * (math.pi * area).sqrt()
    unsure = needed(scores.boundary_pixels, "boundary pixels").double()
    return _LOOK + _SIDE * torch.minimum(outline, unsure)


def mean_cases(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """The selective order of the mean forms, the cases in turn."""
    target, boundary = means(scores)
    drawn = query.selective_order(target, boundary, scores.total, len(scores), seed)
    streams = dict(drawn)
    chosen = in_turn_by_case([i for i, _ in drawn], needed(scores.cases, "cases"), k)
    return [Pick(i, streams[i], None) for i in chosen]


def gain_a_second(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Selective uncertainty (eqs. 3 and 4 together) over the seconds that it is likely to take."""
    values = (scores.target + scores.boundary) / seconds(scores)
    order = power_rank(values, inverse_temperature(scores.progress), seed, scores.total)
    return [Pick(i, "target", float(values[i])) for i in order[:k].tolist()]


def gain_cases(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """The same, the cases in turn."""
    ranked = gain_a_second(scores, len(scores), seed)
    chosen = in_turn_by_case([p.index for p in ranked], needed(scores.cases, "cases"), k)
    return [Pick(i, "target", None) for i in chosen]


def patients_first(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Cases by their mean uncertainty near boundaries, then of each the slice that gains most."""
    cases = needed(scores.cases, "cases")
    _, boundary = means(scores)
    known = cases.unique()
    mean = torch.stack([boundary[cases == case].mean() for case in known])
    by_case = {int(case): float(value) for case, value in zip(known, mean, strict=True)}
    ranked = [p.index for p in gain_a_second(scores, len(scores), seed)]
    ranked = sorted(ranked, key=lambda i: -by_case[int(cases[i])])
    return [Pick(i, "target", None) for i in in_turn_by_case(ranked, cases, k)]


def small_and_unsure(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Small predicted targets that are likely false: seconds to deny, and much to learn from."""
    area = needed(scores.foreground, "predicted foreground").double()
    target, _ = means(scores)
    values = torch.where(area > 0, target / (area + 1).sqrt(), 0.0)
    order = power_rank(values, inverse_temperature(scores.progress), seed, scores.total).tolist()
    chosen = in_turn_by_case(order, needed(scores.cases, "cases"), k)
    return [Pick(i, "target", float(values[i])) for i in chosen]


def gain_diverse(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """A shortlist by gain a second, then k-centre over features and across cases."""
    features, cases = needed(scores.features, "features"), needed(scores.cases, "cases")
    short = [p.index for p in gain_a_second(scores, _SHORTLIST * k, seed)]
    picked = k_centre(features[short], k, groups=cases[short])
    return [Pick(short[i], "diverse", None) for i in picked]


def boundary_cases(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Drawn in proportion to the mean uncertainty near boundaries, the cases in turn."""
    _, boundary = means(scores)
    order = power_rank(boundary, 1.0, seed, scores.total).tolist()
    chosen = in_turn_by_case(order, needed(scores.cases, "cases"), k)
    return [Pick(i, "boundary", float(boundary[i])) for i in chosen]


MEAN_CASES = Strategy("mean-cases", "entropy", mean_cases)
GAIN = Strategy("gain-a-second", "entropy", gain_a_second)
GAIN_CASES = Strategy("gain-cases", "entropy", gain_cases)
PATIENTS = Strategy("patients-first", "entropy", patients_first)
SMALL = Strategy("small-and-unsure", "entropy", small_and_unsure)
GAIN_DIVERSE = Strategy("gain-diverse", "entropy", gain_diverse, features=True)
BOUNDARY_CASES = Strategy("boundary-cases", "entropy", boundary_cases)
