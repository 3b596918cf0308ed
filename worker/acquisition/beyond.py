"""Strategies beyond the paper: the rivals that it must be compared with, and our own variants.

Each is one function of the pool's scores; ``strategies.py`` gives it its name.
"""

import torch
from torch import Tensor

from worker.acquisition import query
from worker.acquisition.diversity import inverse_temperature, k_centre, power_rank
from worker.acquisition.pool import Pick, PoolScores, needed

# Random batches that the best one is taken of.
_BATCHES = 100
# The shortlist is so many times the batch.
_SHORTLIST = 3
# Ranked lists that are drawn independently need seeds of their own.
_NEXT_SEED = 7919


def select_random_foreground(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Random among predicted targets: any slices with predicted foreground, then any others.

    Ours, in the spirit of nnActive's foreground-aware random, which ``select_foreground_areas``
    is nearer to. Nothing of the ground truth is looked at.
    """
    predicted = (needed(scores.foreground, "predicted foreground") > 0).float()
    order = query.rank(predicted, seed)[:k].tolist()
    return [Pick(i, "foreground" if predicted[i] else "random", None) for i in order]


def select_foreground_areas(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Foreground-aware random after nnActive: of anything, of targets and of outlines in turn.

    Each next slice is of the next case in a random order, and of the next of three areas: any
    slice, one in proportion to its predicted foreground, one in proportion to the root of that,
    as outlines grow. A case that has nothing left of an area is passed over; where none has, any
    slice will do.

    Source: Lüth et al. 2025, nnActive (arXiv 2511.19183). There patches of volumes are drawn, and
    around the foreground of the ground truth; here whole slices, by what the model predicts.
    """
    foreground = needed(scores.foreground, "predicted foreground").double().cpu()
    cases = needed(scores.cases, "cases").cpu()
    generator = torch.Generator().manual_seed(seed)
    areas = (
        ("random", torch.ones_like(foreground)),
        ("foreground", foreground),
        ("boundary", foreground.sqrt()),
    )
    known = cases.unique()
    order = known[torch.randperm(len(known), generator=generator)]
    free = torch.ones(len(scores), dtype=torch.bool)
    picks: list[Pick] = []
    turn = 0
    while len(picks) < min(k, len(scores)):
        stream, weights = areas[len(picks) % len(areas)]
        if not (weights[free] > 0).any():
            stream, weights = areas[0]
        left = weights * free * (cases == order[turn % len(order)])
        turn += 1
        if (left > 0).any():
            index = int(torch.multinomial(left, 1, generator=generator))
            free[index] = False
            picks.append(Pick(index, stream, None))
    return picks


def select_clasp(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """ClaSP PE: two thirds in equal shares to the foreground classes, one third by the total.

    A class ranks by Σ P(c|p) · entropy, the last third by Σ entropy; the logarithms of all get
    Gumbel noise of scale 1/β, where β grows from 1 to 100 with progress.
    Source: Lüth et al. 2026 (arXiv 2601.13677). There P is the mean of an ensemble: so it is here
    where several members are trained (``training.members``); of one network it is that one's.
    """
    by_class = needed(scores.by_class, "sums by class")
    classes = by_class.shape[1]
    beta = inverse_temperature(scores.progress)
    for_classes = k - k // 3
    quotas = [for_classes // classes + (c < for_classes % classes) for c in range(classes)]
    rankings = [
        *((f"class {c + 1}", by_class[:, c], quotas[c]) for c in range(classes)),
        ("total", scores.total, k // 3),
    ]
    taken: dict[int, Pick] = {}
    for number, (stream, values, quota) in enumerate(rankings):
        order = power_rank(values, beta, seed + number * _NEXT_SEED, scores.total).tolist()
        free = [i for i in order if i not in taken]
        taken |= {i: Pick(i, stream, float(values[i])) for i in free[:quota]}
    return list(taken.values())


def select_stochastic_batch(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Of 100 random batches the one whose mean score is highest.

    Source: Gaillochet, Desrosiers, Lombaert 2023, "Active learning for medical image
    segmentation with stochastic batches".
    """
    generator = torch.Generator().manual_seed(seed)
    draws = torch.stack(
        [torch.randperm(len(scores), generator=generator)[:k] for _ in range(_BATCHES)]
    )
    if not draws.numel():
        return []
    best = draws[scores.total.cpu()[draws].mean(dim=1).argmax()]
    best = best[query.rank(scores.total[best], seed)]
    return [Pick(i, "total", float(scores.total[i])) for i in best.tolist()]


def select_core_set(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Core-set: k-centre over bottleneck features, away from all that is labelled.

    Source: Sener and Savarese 2018, "Active Learning for Convolutional Neural Networks: A
    Core-Set Approach" (the greedy form).
    """
    features = needed(scores.features, "features")
    order = query.rank(torch.zeros(len(scores)), seed)
    picked = k_centre(features[order], k, scores.labelled_features)
    return [Pick(int(order[i]), "diverse", None) for i in picked]


def select_selective_power(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """Selective uncertainty (eqs. 1 to 5) with Gumbel noise on eqs. 3 and 4: no hard top k.

    The noise is ClaSP PE's, on the logarithms, fading with progress.
    """
    beta = inverse_temperature(scores.progress)
    target = power_rank(scores.target, beta, seed, scores.total)
    boundary = power_rank(scores.boundary, beta, seed + _NEXT_SEED, scores.total)
    return _picks(scores, query.take_turns(target, boundary, k))


def select_selective_diverse(scores: PoolScores, k: int, seed: int) -> list[Pick]:
    """A selective shortlist (eqs. 1 to 5) of 3 k, then k-centre over features and across cases.

    Neighbouring slices of one patient are alike: each next slice is of a case that has given
    fewest yet, the one farthest from those taken.
    """
    features, cases = needed(scores.features, "features"), needed(scores.cases, "cases")
    shortlist = query.selective_order(
        scores.target, scores.boundary, scores.total, _SHORTLIST * k, seed
    )
    indices = torch.tensor([index for index, _ in shortlist], dtype=torch.long)
    picked = k_centre(features[indices], k, groups=cases[indices])
    return _picks(scores, [shortlist[i] for i in picked])


def _picks(scores: PoolScores, order: query.Drawn) -> list[Pick]:
    by_stream: dict[str, Tensor] = {"target": scores.target, "boundary": scores.boundary}
    return [Pick(index, stream, float(by_stream[stream][index])) for index, stream in order]
