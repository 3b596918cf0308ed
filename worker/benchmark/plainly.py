"""What a table shows in plain sentences, and what forbids to read more into it."""

from collections.abc import Iterator

import pandas as pd

from worker.benchmark import statistics
from worker.segmentation.learning import TRIES

# A network that finds less than this of what is there has found nothing.
NOTHING = 0.001
DICE = "dice_case"


def found_nothing(rounds: pd.DataFrame) -> pd.DataFrame:
    """The rows whose network predicts nothing, or collapsed in the last of its tries too."""
    given_up = rounds["collapses"] >= TRIES if "collapses" in rounds else False
    return rounds[(rounds[DICE] < NOTHING) | given_up]


def warnings_of(rounds: pd.DataFrame) -> Iterator[str]:
    """What to know before any figure is believed."""
    blind = found_nothing(rounds)
    if not blind.empty:
        which = ", ".join(sorted({f"{r.strategy} on seed {r.seed}" for r in blind.itertuples()}))
        yield (
            f"{len(blind)} of {len(rounds)} networks predict nothing, or collapsed for good "
            f"({which}): differences between strategies may be about these."
        )
    by_seed = statistics.areas(rounds, DICE)
    names = list(by_seed.columns)
    if len(names) < 2:
        return
    pairs = [(a, b) for n, a in enumerate(names) for b in names[n + 1 :]]
    tests = statistics.paired_tests(by_seed, pairs, family="every pair")
    known = tests[tests["p"].notna()]
    if known.empty:
        yield "With a single seed no difference between strategies can be told from chance."
        return
    if not (known["p_holm"] < statistics.SIGNIFICANCE).any():
        yield (
            "All strategies are within noise: of "
            f"{len(known)} pairs none differs with p < 0.05 after Holm's correction."
        )
    wide = known[known["half_width"] > known["difference"].abs()]
    if len(wide) == len(known):
        yield "Every interval of a difference is wider than the difference."
    least = float(known["least"].median())
    largest = float(known["difference"].abs().max())
    if largest < least:
        yield (
            f"So few seeds find differences from about {least:.3f} on (80 % power, uncorrected); "
            f"the largest here is {largest:.3f}."
        )


def sentences(tests: pd.DataFrame, budget: str) -> Iterator[str]:
    """A sentence a comparison, each pair once, by its stricter correction where it has two.

    tests: as ``statistics.paired_tests`` gives them.
    """
    if tests.empty:
        return
    pair = [frozenset(both) for both in zip(tests["strategy"], tests["against"], strict=True)]
    stricter = tests.assign(pair=pair).sort_values("p_holm", ascending=False, kind="stable")
    tests = tests.loc[stricter.drop_duplicates("pair").index.sort_values()]
    over = {"labelled": "at equal numbers of slices", "minutes": "at equal minutes"}[budget]
    for test in tests.itertuples():
        if pd.isna(test.p):
            yield f"{test.strategy} against {test.against}, {over}: a single seed shows nothing."
            continue
        low, high = test.difference - test.half_width, test.difference + test.half_width
        if test.p_holm < statistics.SIGNIFICANCE and test.p_resampled < statistics.SIGNIFICANCE:
            verdict = "is better than" if test.difference > 0 else "is worse than"
        elif test.p_holm < statistics.SIGNIFICANCE:
            verdict = "is, on these divisions of the cases, " + (
                "better than" if test.difference > 0 else "worse than"
            )
        else:
            verdict = "cannot be told from"
        yield (
            f"{test.strategy} {verdict} {test.against} {over}: {test.difference:+.3f} "
            f"({low:+.3f} to {high:+.3f}) of area over {test.seeds} seeds, p = {test.p_holm:.3f} "
            f"after Holm, {test.p_resampled:.3f} resampled."
        )
