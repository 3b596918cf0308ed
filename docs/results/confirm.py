"""The confirmation: the frozen candidates against their rivals, ground by ground, as planned.

.venv/bin/python docs/results/confirm.py docs/results/*-claim

Prints a Markdown table: area under the budget curve of Dice per case, paired t-tests over seeds,
Holm's correction over all tests of a ground.
"""

import sys
from itertools import product
from pathlib import Path

import pandas as pd

from worker.benchmark.statistics import SIGNIFICANCE, areas, paired_tests

CANDIDATES = ("foreground-cases", "boundary-cases-power")
RIVALS = ("random-foreground", "entropy-selective", "clasp")


def main(folders: list[Path]) -> None:
    """Print a row a test, and which candidate wins where."""
    print("| ground | candidate | against | seeds | difference | Cohen's d | p | p, Holm |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    wins: dict[str, list[str]] = {candidate: [] for candidate in CANDIDATES}
    for folder in folders:
        by_seed = areas(pd.read_csv(folder / "rounds.csv"), "dice_case")
        known = [c for c in CANDIDATES if c in by_seed]
        tests = paired_tests(by_seed, product(known, RIVALS), folder.name)
        for row in tests.itertuples():
            print(
                f"| {folder.name} | {row.strategy} | {row.against} | {row.seeds} | "
                f"{row.difference:+.4f} ± {row.half_width:.4f} | {row.effect:+.2f} | {row.p:.4f} | "
                f"{row.p_holm:.4f} |"
            )
        for candidate in known:
            own = tests[tests["strategy"] == candidate]
            if ((own["difference"] > 0) & (own["p_holm"] < SIGNIFICANCE)).all():
                wins[candidate].append(folder.name)
    for candidate, grounds in wins.items():
        print(f"\n{candidate} beats all three on: {', '.join(grounds) or 'no ground'}.")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
