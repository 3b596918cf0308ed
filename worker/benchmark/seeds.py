"""What the strategies of a seed share, trained once: first slices, first network, all labels."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from app.core.pool_map import spread
from app.core.variety import k_centre_of_appearances
from worker.benchmark.bench import SCORING_BATCH, Bench, fit_network, plain, row_of
from worker.benchmark.record import FULL, dice_by_case, replace, write_json
from worker.registry import find_recipe
from worker.segmentation.scoring import Features, pooled_features


def prepare_seed(bench: Bench, first: bool = True) -> None:
    """Train once what the strategies of a seed share, unless it is there.

    The first round's network, from the same first slices and weights (not ``first``: no strategy
    will ask for it); and the network of all labels, whose Dice is the supervised baseline and
    whose features measure redundancy; that of the benchmark itself serves its repeats.
    """
    if first:
        prepare_first(bench)
    folder = bench.record.seed_folder(bench.seed)
    if not bench.record.repeat and not (folder / "full.json").exists():
        pool = bench.division.pool
        # Else a run of many rounds would have learned for longer than what it is measured by.
        fit = fit_network(bench, pool, round_=0, least_steps=_steps_of_a_run(bench))
        features = pooled_features(
            fit.network, bench.samples(pool), SCORING_BATCH, bench.device, bench.precision
        )
        scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
        _save_features(folder / "features.npy", scaled)
        _save_map(bench, folder / "map.json", scaled)
        row = row_of(bench, FULL, 0, pool, pool, fit, seconds_score=0.0)
        write_json(folder / "full-cases.json", dice_by_case(fit.dice))
        write_json(folder / "full.json", asdict(row))


def _steps_of_a_run(bench: Bench) -> int:
    """Steps that a network takes over all rounds of a run, where the recipe counts in steps."""
    settings = bench.settings
    recipe = find_recipe(settings.training.recipe)
    budgets = [settings.labelled(round_) for round_ in range(1, settings.rounds + 1)]
    return sum(recipe.expected_steps(budget, settings.training) for budget in budgets)


def prepare_first(bench: Bench) -> None:
    """The first round's network, unless it is there."""
    folder = bench.record.seed_folder(bench.seed)
    if not (folder / "first.json").exists():
        initial = initial_slices(bench)
        fit = fit_network(bench, initial, round_=1)
        replace(folder / "first.safetensors", fit.state)
        write_json(folder / "first.json", {"initial": initial, "fit": plain(fit)})


def initial_slices(bench: Bench) -> list[int]:
    """The first labelled slices: the same for every strategy of a seed."""
    pool, wanted = bench.division.pool, bench.settings.initial
    rng = np.random.default_rng(bench.seed_for_all)
    if bench.settings.init == "k-centre":
        return [pool[i] for i in k_centre_of_appearances(bench.looks(pool), wanted, rng)]
    if bench.settings.init == "foreground":
        # Only a benchmark can do this: it repeats the paper's public code.
        pool = [n for n in pool if bench.ground.foreground[n] > 0]
    return [int(n) for n in rng.permutation(pool)[:wanted]]


def _save_features(path: Path, features: Features) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, features.astype(np.float16))


def _save_map(bench: Bench, path: Path, features: Features) -> None:
    """The pool in two dimensions (figure 2): case, index, foreground pixels, x and y."""
    places = spread(features, bench.seed_for("map"))
    rows = [
        [*bench.ground.place(n), int(bench.ground.foreground[n]), *map(float, xy)]
        for n, xy in zip(bench.division.pool, places, strict=True)
    ]
    write_json(path, rows)
