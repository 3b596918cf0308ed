"""What the tidy table says: areas, tests, penalties, efficiency. Tables in, tables out.

All take the rounds as ``record.read_rounds`` gives them; ``metric`` is a column, ``dice_case``
or ``dice_slice``.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from worker.benchmark.record import FULL

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05

Values = npt.NDArray[np.float64]


def runs_of(rounds: pd.DataFrame) -> pd.DataFrame:
    """The rows of strategies, without the full-label baseline; unfinished runs left out.

    Of repeats the mean: a strategy on a seed counts once, however often it was trained.
    ``labelled`` is what people had to label for a round: the validation slices that training
    looks at too (their mean over seeds, so that all stand at the same places of the axis).
    """
    runs = rounds[rounds["strategy"] != FULL]
    if runs.empty:
        return runs
    if "repeat" not in runs:
        runs = runs.assign(repeat=0)
    counts = runs.groupby(["strategy", "seed", "repeat"])["round"].transform("size")
    whole = runs[counts == counts.max()]
    if whole["repeat"].nunique() > 1:
        # The noise of training is averaged, not tested.
        keys = ["strategy", "seed", "round"]
        others = whole.columns.difference(keys, sort=False)
        numbers = set(whole.select_dtypes("number").columns)
        how = {name: "mean" if name in numbers else "first" for name in others}
        whole = whole.groupby(keys, as_index=False, sort=False).agg(how)
    return whole.assign(labelled=whole["labelled"] + looked_at(whole))


def looked_at(runs: pd.DataFrame) -> int:
    """Validation slices that a training needs labelled; tables of before recipes do not say."""
    return round(runs["validation"].mean()) if "validation" in runs else 0


def baseline(rounds: pd.DataFrame, metric: str) -> float:
    """Mean Dice of training on the whole pool, NaN if none was trained."""
    return float(rounds.loc[rounds["strategy"] == FULL, metric].mean())


def interval(values: Sequence[float] | Values) -> tuple[float, float]:
    """Mean and half-width of its 95 % confidence interval (Student's t over seeds)."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float(values.mean()) if len(values) else math.nan, math.nan
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    return float(values.mean()), float(quantile * stats.sem(values))


def areas(rounds: pd.DataFrame, metric: str, budget: str = "labelled") -> pd.DataFrame:
    """Area under the budget curve of each run: seeds × strategies.

    The trapezoidal integral of Dice over the budget, ``labelled`` slices or ``minutes``, divided
    by its range: a mean Dice in [0, 1]. Runs of a seed that spend different minutes are compared
    up to the least that any of them has spent in the end. NaN where the budget is not known.
    """
    runs = runs_of(rounds)
    spent = runs.groupby(["seed", "strategy"])[budget].max()
    runs = runs.assign(end=runs["seed"].map(spent.groupby("seed").min()))

    def area(run: pd.DataFrame) -> float:
        run = run.sort_values(budget)
        end = run["end"].iloc[0]
        if run[budget].isna().any() or not end > run[budget].iloc[0]:
            return math.nan
        x, y = run[budget].to_numpy(dtype=float), run[metric].to_numpy(dtype=float)
        inside = x < end
        x, y = np.append(x[inside], end), np.append(y[inside], np.interp(end, x, y))
        return float(np.trapezoid(y, x) / (x[-1] - x[0]))

    grouped = runs.groupby(["seed", "strategy"])[[budget, metric, "end"]].apply(area)
    found: pd.DataFrame = grouped.unstack("strategy")
    return found


def paired_tests(
    by_seed: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    family: str,
    test_share: float = 0.3,
) -> pd.DataFrame:
    """Paired t-tests over seeds of the first of each pair against the second.

    by_seed: seeds × strategies. ``p_holm`` is corrected over all pairs given (Holm 1979);
    ``effect`` is Cohen's d of the differences; ``p_wilcoxon`` is shown beside it, uncorrected, and
    ``p_resampled``, which knows that seeds divide the same cases (``test_share`` of them for
    tests). ``least``: the difference that so many seeds find with 80 % power, uncorrected.
    """
    rows = []
    for ours, theirs in pairs:
        both = by_seed[[ours, theirs]].dropna()
        differences = (both[ours] - both[theirs]).to_numpy()
        mean, half = interval(differences)
        spread = differences.std(ddof=1) if len(differences) > 1 else math.nan
        tested = len(differences) > 1 and spread > 0
        rows.append(
            {
                "family": family,
                "strategy": ours,
                "against": theirs,
                "seeds": len(differences),
                "difference": mean,
                "half_width": half,
                "effect": mean / spread if tested else math.nan,
                "p": stats.ttest_rel(both[ours], both[theirs]).pvalue if tested else math.nan,
                "p_wilcoxon": stats.wilcoxon(differences).pvalue if tested else math.nan,
                "p_resampled": resampled_p(differences, test_share) if tested else math.nan,
                "least": least_effect(len(differences)) * spread if tested else math.nan,
            }
        )
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    table["p_holm"] = math.nan
    known = table["p"].notna()
    if known.any():
        table.loc[known, "p_holm"] = multipletests(table.loc[known, "p"], method="holm")[1]
    return table


def resampled_p(differences: Values, test_share: float) -> float:
    """The p of the corrected resampled t-test: divisions of the same cases depend on each other.

    The variance of the mean is taken as (1/n + test/train) times that of the differences. Source:
    Nadeau and Bengio 2003, Machine Learning 52, 239 to 281.
    """
    count = len(differences)
    ratio = test_share / (1 - test_share)
    error = differences.std(ddof=1) * math.sqrt(1 / count + ratio)
    return float(2 * stats.t.sf(abs(differences.mean() / error), count - 1))


def least_effect(seeds: int, power: float = 0.8) -> float:
    """The least Cohen's d that a paired t-test over so many seeds finds, at a level of 0.05."""
    if seeds < 2:
        return math.nan
    return float(TTestPower().solve_power(nobs=seeds, alpha=SIGNIFICANCE, power=power))


def penalty_matrix(rounds: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Share of the rounds in which the row beats the column at p < 0.05, paired over seeds.

    The first round is the same for all and is left out. Read by columns: the less a strategy is
    beaten, the better. Source: Ash et al. 2020 (BADGE), the pairwise penalty matrix.
    """
    runs = runs_of(rounds)
    later = runs[runs["round"] > runs["round"].min()]
    names = list(dict.fromkeys(later["strategy"]))
    matrix = pd.DataFrame(0.0, index=names, columns=names)
    turns = [
        of_round.pivot(index="seed", columns="strategy", values=metric)
        for _, of_round in later.groupby("round")
    ]
    for ours, theirs in permutations(names, 2):
        matrix.loc[ours, theirs] = float(np.mean([_beats(t, ours, theirs) for t in turns]))
    return matrix


def _beats(by_seed: pd.DataFrame, ours: str, theirs: str) -> bool:
    both = by_seed[[ours, theirs]].dropna()
    differences = both[ours] - both[theirs]
    if len(both) < 2 or differences.std() == 0:
        return False
    return bool(
        differences.mean() > 0 and stats.ttest_rel(both[ours], both[theirs]).pvalue < SIGNIFICANCE
    )


def foreground_efficiency(rounds: pd.DataFrame, metric: str) -> pd.Series:
    """How fast Dice grows with the foreground that somebody had to outline, by strategy.

    The α that fits Dice(f) = A − (A − D₁) exp(−α f) best to all of a strategy's runs together,
    where f is the labelled share of the pool's foreground pixels beyond the first batch, D₁ a
    run's first Dice and A the highest mean Dice of any strategy or of the baseline. After the
    foreground efficiency of nnActive (Lüth et al. 2025): outlines cost, blank slices do not.
    """
    runs = runs_of(rounds).sort_values("round")
    total = rounds.loc[rounds["strategy"] == FULL, "foreground_pixels"].mean()
    if runs.empty or not total > 0:
        return pd.Series(dtype=float)
    means = runs.groupby(["strategy", "round"])[metric].mean()
    ceiling = np.nanmax([baseline(rounds, metric), means.max()])
    by_run = runs.groupby(["strategy", "seed"])
    pixels = runs["foreground_pixels"] - by_run["foreground_pixels"].transform("first")
    runs = runs.assign(share=pixels / total, first=by_run[metric].transform("first"))

    def fitted(of_strategy: pd.DataFrame) -> float:
        share, first, dice = (of_strategy[c].to_numpy() for c in ("share", "first", metric))

        def misfit(alpha: float) -> float:
            curve = ceiling - (ceiling - first) * np.exp(-alpha * share)
            return float(((dice - curve) ** 2).sum())

        return float(optimize.minimize_scalar(misfit, bounds=(0, 200), method="bounded").x)

    return runs.groupby("strategy")[["share", "first", metric]].apply(fitted)


def labels_to_baseline(rounds: pd.DataFrame, metric: str) -> dict[str, int | None]:
    """Labelled slices at which each strategy's mean Dice first reaches the baseline's."""
    goal = baseline(rounds, metric)
    means = runs_of(rounds).groupby(["strategy", "labelled"])[metric].mean()
    found: dict[str, int | None] = {}
    for strategy, curve in means.groupby("strategy"):
        reached = curve[curve >= goal].index.get_level_values("labelled")
        found[str(strategy)] = int(reached.min()) if len(reached) else None
    return found


def at_the_end(rounds: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's last round, and those of the networks of all labels."""
    runs = runs_of(rounds)
    last = runs[runs["round"] == runs["round"].max()]
    return pd.concat([last, rounds[rounds["strategy"] == FULL]], ignore_index=True)


def asked_for(rounds: pd.DataFrame) -> pd.DataFrame:
    """What each strategy spent its labels on, after the first batch: means over seeds.

    Share of blank slices, mean distance to the nearest other labelled slice, distinct cases a
    batch, and at the end of the run labelled cases and labelled foreground pixels.
    """
    runs = runs_of(rounds)
    later = runs[runs["round"] > runs["round"].min()]
    last = runs[runs["round"] == runs["round"].max()].groupby("strategy")
    grouped = later.groupby("strategy")
    return pd.DataFrame(
        {
            "blank": grouped["batch_blank"].sum() / grouped["batch"].sum(),
            "nearest": grouped["nearest"].mean(),
            "cases_a_batch": grouped["batch_cases"].mean(),
            "cases_in_the_end": last["labelled_cases"].mean(),
            "foreground_pixels": last["foreground_pixels"].mean(),
            "seconds_train": grouped["seconds_train"].mean(),
            "seconds_score": runs[runs["round"] < runs["round"].max()]
            .groupby("strategy")["seconds_score"]
            .mean(),
        }
    )
