"""The demo on five seeds, as a table.

.venv/bin/python docs/results/robust/demo.py demo.csv
"""

import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch

from worker.segmentation.machine import fix_threads, machine
from worker.segmentation.precision import FLOAT32
from worker.simulation.demo import run_demo

SEEDS, ROUNDS = range(5), 5


def main(out: Path) -> None:
    """Run them one after the other; a row a round."""
    fix_threads(1)
    rows = []
    for seed in SEEDS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            results = run_demo(Path(folder) / "demo", ROUNDS, seed)
        seconds = time.monotonic() - started
        rows += [
            {
                "seed": seed,
                "round": one.round,
                "labelled": one.labelled,
                "dice_slice": round(one.dice_slice, 5),
                "dice_case": round(one.dice_case, 5),
                "seconds_of_the_demo": round(seconds),
                "machine": str(machine(torch.device("cpu"), FLOAT32)),
            }
            for one in results
        ]
        pd.DataFrame(rows).to_csv(out, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
