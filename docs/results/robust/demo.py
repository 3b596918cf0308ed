"""The demo on five seeds, as a table.

.venv/bin/python docs/results/robust/demo.py demo.csv
"""

import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
from sqlalchemy import select

from app.loop.round_times import round_times, share_of_steps
from app.settings import Settings
from app.store import Database, Project
from worker.segmentation.machine import fix_threads, machine
from worker.segmentation.precision import FLOAT32
from worker.simulation.demo import run_demo

SEEDS, ROUNDS = range(5), 5


def training_share(data: Path) -> float:
    """The share of the retrainings' seconds that went into training steps (`sfumato times`)."""
    settings = Settings(data=data)
    with Database(settings.effective_database_url).reading() as session:
        project = session.scalars(select(Project)).one()
        return share_of_steps(round_times(session, project)) or 0.0


def main(out: Path) -> None:
    """Run them one after the other; a row a round."""
    fix_threads(1)
    rows = []
    for seed in SEEDS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            results = run_demo(Path(folder) / "demo", ROUNDS, seed)
            seconds = time.monotonic() - started
            share = training_share(Path(folder) / "demo" / "data")
        rows += [
            {
                "seed": seed,
                "round": one.round,
                "labelled": one.labelled,
                "dice_slice": round(one.dice_slice, 5),
                "dice_case": round(one.dice_case, 5),
                "seconds_of_the_demo": round(seconds),
                "training_share": round(share, 3),
                "machine": str(machine(torch.device("cpu"), FLOAT32)),
            }
            for one in results
        ]
        pd.DataFrame(rows).to_csv(out, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
