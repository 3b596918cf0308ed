"""The confirmation as it was planned: which candidates win on which grounds, in minutes.

Everything in a table that is no rival is a candidate. On a ground a candidate wins where its area
over minutes is above every rival's with p < 0.05 after Holm's correction over all of the ground's
candidate × rival tests, by the paired t-test and by the corrected resampled one.
"""

from collections.abc import Mapping
from itertools import product

import pandas as pd
from statsmodels.stats.multitest import multipletests

from worker.benchmark.statistics import SIGNIFICANCE, areas, paired_tests
from worker.benchmark.tables import in_order

RIVALS = ("random", "random-foreground", "foreground-areas", "clasp", "entropy-selective")
# So many grounds make a candidate the default.
GROUNDS_TO_WIN = 2


def verdict(rounds: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row a candidate and rival: the tests, both corrected, and whether it is better by both.

    Empty where there is no candidate, a rival is missing or minutes are not known.
    """
    by_seed = areas(rounds, metric, "minutes").dropna(axis=1, how="all")
    candidates = [name for name in in_order(list(by_seed)) if name not in RIVALS]
    if not candidates or not set(RIVALS) <= set(by_seed):
        return pd.DataFrame()
    tests = paired_tests(by_seed, product(candidates, RIVALS), "candidate against rival")
    if tests[["p", "p_resampled"]].isna().any(axis=None):
        return pd.DataFrame()
    resampled = multipletests(tests["p_resampled"], method="holm")[1]
    best = tests["p_holm"].combine(pd.Series(resampled, tests.index), max) < SIGNIFICANCE
    return tests.assign(p_resampled_holm=resampled, better=best & (tests["difference"] > 0))


def winners(verdicts: Mapping[str, pd.DataFrame]) -> dict[str, list[str]]:
    """By candidate, the grounds on which it is better than every rival."""
    found: dict[str, list[str]] = {}
    for ground, tests in verdicts.items():
        for candidate, own in tests.groupby("strategy", sort=False):
            won = found.setdefault(str(candidate), [])
            if own["better"].all():
                won.append(ground)
    return found


def in_words(verdicts: Mapping[str, pd.DataFrame]) -> list[str]:
    """What follows from it, a sentence a candidate."""
    return [
        f"{candidate} beats all {len(RIVALS)} rivals in minutes on "
        f"{' and '.join(won) or 'no ground'}: "
        + ("it may become the default" if len(won) >= GROUNDS_TO_WIN else "the default stays")
        for candidate, won in winners(verdicts).items()
    ]


def verdict_table(tests: pd.DataFrame) -> pd.DataFrame:
    """The tests as they are printed."""
    return pd.DataFrame(
        {
            "candidate": tests["strategy"],
            "against": tests["against"],
            "seeds": tests["seeds"],
            "difference": [
                f"{row.difference:+.4f} ± {row.half_width:.4f}" for row in tests.itertuples()
            ],
            "effect (d)": tests["effect"].map("{:+.2f}".format),
            "p (Holm)": tests["p_holm"].map("{:.4f}".format),
            "p (resampled, Holm)": tests["p_resampled_holm"].map("{:.4f}".format),
            "found": tests["least"].map("{:.4f}".format),
        }
    )
