"""The search for the recipe `robust`: one change at a time, on seeds that no table uses.

.venv/bin/python docs/results/recipe-search/search.py --data LGG --ground lgg-flair-small OUT.csv
.venv/bin/python docs/results/recipe-search/search.py --table OUT.csv [MORE.csv …]

Each variant runs `random-foreground` as the benchmark does, without the network of all labels.
Rows are added as runs end; the same command goes on with what is missing.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from worker.benchmark.bench import make_bench
from worker.benchmark.ground import read_ground
from worker.benchmark.record import Record
from worker.benchmark.runs import run_strategy
from worker.benchmark.seeds import prepare_first
from worker.benchmark.settings import PRESETS
from worker.registry import find_strategy
from worker.segmentation import learning
from worker.segmentation.augmentation import Strength
from worker.segmentation.machine import machine
from worker.segmentation.precision import FLOAT32
from worker.segmentation.recipes.robust import Plan, Robust

SEEDS = (100, 101, 102, 103)
STRATEGY = "random-foreground"
CPU = torch.device("cpu")
MILD = Strength(
    rotation=15, scale=1.1, shift=0.04, contrast=0.1, brightness=0.1, noise=0.05, blur=0.5
)
WILD = Strength(
    rotation=180, scale=1.4, shift=0.1, contrast=0.3, brightness=0.3, noise=0.2, blur=1.5
)
ONE = {"members": 1}
SHORT = {"least_steps": 300, "passes": 16.0}
LONG = {"least_steps": 1800, "passes": 96.0}

# For each variant: changes of the recipe's numbers, of the training settings, and of its code. All
# but those that say so train one network, for the steps of the recipe.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[], None] | None]] = {
    "one network": ({}, ONE, None),
    "three in folds": ({}, {}, None),
    "300 steps": (SHORT, ONE, None),
    "1800 steps": (LONG, ONE, None),
    "three in folds: 300 steps": (SHORT, {}, None),
    "three that see all: 300 steps": (SHORT, {}, lambda: _without_folds()),
    "from scratch each round": ({}, {**ONE, "from_scratch": True}, None),
    "learning rate 0.001": ({}, {**ONE, "learning_rate": 0.001}, None),
    "learning rate 0.004": ({}, {**ONE, "learning_rate": 0.004}, None),
    "batches of 16": ({}, {**ONE, "batch_size": 16}, None),
    "no averaged weights": ({"averaged_steps": 1.0}, ONE, None),
    "weights averaged over 200 steps": ({"averaged_steps": 200.0}, ONE, None),
    "targets not preferred": ({"with_target": 0.0}, ONE, None),
    "targets in 7 of 10": ({"with_target": 0.7}, ONE, None),
    "cross-entropy alone": ({"dice": 0.0}, ONE, None),
    "soft Dice alone": ({"cross_entropy": 0.0}, ONE, None),
    "the paper's augmentation": ({"papers_augmentation": True}, ONE, None),
    "milder augmentation": ({"strength": MILD}, ONE, None),
    "wilder augmentation": ({"strength": WILD}, ONE, None),
    "dropout 0.2": ({}, {**ONE, "dropout": 0.2}, None),
    "a neighbour on each side": ({}, {**ONE, "context": 1}, None),
}


def _without_folds() -> None:
    learning.deal = lambda *_: {}


def run(variant: str, ground: str, data: str, seed: int) -> list[dict[str, Any]]:
    """All rounds of a variant on a seed, as rows."""
    torch.set_num_threads(1)
    plan, changes, patch = VARIANTS[variant]
    Robust.plan = replace(Plan(), **plan)
    if patch is not None:
        patch()
    preset = PRESETS[ground]
    training = preset.training.model_copy(update={"members": None, **changes})
    settings = preset.model_copy(update={"training": training})
    with tempfile.TemporaryDirectory() as folder:
        record = Record(Path(folder))
        bench = make_bench(
            read_ground(Path(data), settings.ground),
            settings,
            record,
            seed,
            CPU,
            FLOAT32,
            lambda: None,
        )
        prepare_first(bench)
        run_strategy(bench, find_strategy(STRATEGY))
        rows = [file.row for file in record.round_files(STRATEGY, seed)]
    return [
        {
            "variant": variant,
            "ground": ground,
            "seed": seed,
            "round": row.round,
            "labelled": row.labelled,
            "dice_case": round(row.dice_case, 5),
            "steps": row.steps,
            "collapses": row.collapses,
            "held_back": row.held_back,
            "machine": str(machine(CPU, FLOAT32)),
        }
        for row in rows
    ]


def search(out: Path, data: Path, ground: str, variants: list[str], processes: int) -> None:
    """Run what is missing in the table, a fresh process for each run: variants change code."""
    known = (
        pd.read_csv(out) if out.exists() else pd.DataFrame(columns=["variant", "ground", "seed"])
    )
    done = set(known[["variant", "ground", "seed"]].itertuples(index=False, name=None))
    with ProcessPoolExecutor(processes, get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = [
            pool.submit(run, variant, ground, str(data), seed)
            for variant in variants
            for seed in SEEDS
            if (variant, ground, seed) not in done
        ]
        for future in as_completed(waiting):
            rows = pd.DataFrame(future.result())
            rows.to_csv(out, mode="a", index=False, header=not out.exists())
            print(
                json.dumps(rows["dice_case"].tolist()),
                rows["variant"][0],
                rows["seed"][0],
                flush=True,
            )


def table(paths: list[Path]) -> Iterator[str]:
    """Lines of a Markdown table: stability first, then Dice."""
    rows = pd.concat([pd.read_csv(path) for path in paths])
    yield "| ground | variant | seeds | first | last | area | falls > 0.02 | > 0.05 | collapses |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for (ground, variant), of in rows.groupby(["ground", "variant"], sort=False):
        curves = of.pivot_table(index="seed", columns="round", values="dice_case")
        changes = curves.diff(axis=1).iloc[:, 1:].to_numpy()
        area = (curves.iloc[:, 1:].to_numpy() + curves.iloc[:, :-1].to_numpy()).mean() / 2
        yield (
            f"| {ground} | {variant} | {len(curves)} | {curves.iloc[:, 0].mean():.3f} | "
            f"{curves.iloc[:, -1].mean():.3f} | {area:.3f} | {(changes < -0.02).sum()} | "
            f"{(changes < -0.05).sum()} of {changes.size} | {int(of['collapses'].sum())} |"
        )


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--ground", choices=sorted(PRESETS), default="lgg-flair-small")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    if asked.table:
        print("\n".join(table(asked.files)))
        return
    search(asked.files[0], asked.data, asked.ground, asked.variants.split(","), asked.processes)


if __name__ == "__main__":
    main()
