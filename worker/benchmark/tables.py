"""The tables of a report, as text cells under headings that a reader of the paper knows."""

import math
from collections.abc import Callable, Sequence

import pandas as pd
from statsmodels.stats.multitest import multipletests

from app.core.catalogue import PAPER_MEASURES as MEASURES
from app.core.catalogue import own_names
from app.core.streams import Stream
from worker.benchmark import mixed, statistics
from worker.benchmark.record import FULL

METRICS = {"dice_case": "Dice per case", "dice_slice": "Dice per slice"}
# What others are measured against, where it was run.
REFERENCES = ("random", "random-foreground", "foreground-areas", "entropy-selective", "clasp")


def in_order(names: Sequence[str]) -> list[str]:
    """Built-in strategies as they are listed everywhere, then others by name."""
    known = [name for name in own_names("strategy") if name in names]
    return known + sorted(set(names) - set(known))


def learning_table(rounds: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The layout of the paper's tables 2 and 3: mean Dice at each labelled share of the pool.

    ``highest`` is the highest mean over seeds; the last column the labelled slices at which the
    mean reaches that of all labels, or ``/``.
    """
    runs = statistics.runs_of(rounds)
    means = runs.pivot_table(index="strategy", columns="labelled", values=metric)
    pool = runs["pool"].mean()
    table = pd.DataFrame(index=in_order(list(means.index)))
    table.index.name = "strategy"
    for labelled in means.columns:
        table[f"{labelled} ({labelled / pool:.0%})"] = means[labelled].map("{:.4f}".format)
    table["highest"] = means.max(axis=1).map("{:.4f}".format)
    reached = statistics.labels_to_baseline(rounds, metric)
    goal = statistics.baseline(rounds, metric)
    table[f"labels to reach {goal:.4f}"] = [
        "/" if reached[name] is None else f"{reached[name]} ({reached[name] / pool:.1%})"
        for name in table.index
    ]
    return table.reset_index()


def full_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """What training on the whole pool came to on each seed, and their mean."""
    of_all = rounds[rounds["strategy"] == FULL].set_index("seed").sort_index()
    table = of_all[["labelled", "steps", "seconds_train", *METRICS]].copy()
    mean = table[list(METRICS)].mean().rename("mean")
    table = table.astype({"labelled": str, "steps": str})
    table["seconds_train"] = table["seconds_train"].map("{:.0f}".format)
    table.loc["mean"] = mean.reindex(table.columns)
    for metric in METRICS:
        table[metric] = table[metric].astype(float).map("{:.4f}".format)
    return table.fillna("").rename(columns=METRICS).reset_index()


def ablation_tables(rounds: pd.DataFrame, metric: str) -> dict[str, pd.DataFrame]:
    """The layout of the paper's table 1, for each measure of which all three forms were run."""
    names = set(statistics.runs_of(rounds)["strategy"])
    found = {}
    for measure in MEASURES:
        forms = [measure, f"{measure}-target", f"{measure}-selective"]
        if names >= set(forms):
            table = learning_table(rounds, metric).set_index("strategy").loc[forms].reset_index()
            table["strategy"] = [measure, f"{measure} + target", f"{measure} + target + boundary"]
            found[measure] = table
    return found


def area_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Area under the budget curve, mean ± half of its 95 % interval over seeds, both Dice."""
    table: dict[str, list[str]] = {}
    efficiency = statistics.foreground_efficiency(rounds, "dice_case")
    names = in_order(list(statistics.areas(rounds, "dice_case").columns))
    table["strategy"] = names
    for metric, title in METRICS.items():
        found = statistics.areas(rounds, metric)
        table[title] = [_interval(found[name].dropna()) for name in names]
    table["seeds"] = [str(found[name].count()) for name in names]
    table["foreground efficiency"] = [f"{efficiency.get(name, math.nan):.1f}" for name in names]
    return pd.DataFrame(table)


def _interval(values: "pd.Series[float]") -> str:
    mean, half = statistics.interval(values.to_numpy())
    return _plus_minus(f"{mean:.4f}", half)


def _plus_minus(mean: str, half: float) -> str:
    return mean if math.isnan(half) else f"{mean} ± {half:.4f}"


def _number(form: str) -> Callable[[float], str]:
    """How a figure is written; one that is not known, as of a single seed, is a dash."""
    return lambda value: "–" if math.isnan(value) else form.format(value)


def minutes_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """What each strategy's labels cost, and its areas over minutes, ± half intervals over seeds."""
    found = {metric: statistics.areas(rounds, metric, "minutes") for metric in METRICS}
    names = in_order(list(found["dice_case"].columns))
    last = statistics.at_the_end(rounds).groupby("strategy")["minutes"]
    return pd.DataFrame(
        {
            "strategy": names,
            "minutes in the end": [_spread(last.get_group(n), "{:.1f}".format) for n in names],
            **{
                f"{METRICS[metric]}, area over minutes": [_interval(by[n].dropna()) for n in names]
                for metric, by in found.items()
            },
        }
    )


def comparison_table(rounds: pd.DataFrame, metric: str, budget: str = "labelled") -> pd.DataFrame:
    """Every strategy against each reference, and each selective form against its plain one.

    Holm's correction is over the tests of one family, which the first column names.
    """
    tests = comparisons(rounds, metric, budget)
    if tests.empty:
        return tests
    return pd.DataFrame(
        {
            "family": tests["family"],
            "strategy": tests["strategy"],
            "against": tests["against"],
            "seeds": tests["seeds"],
            "difference": [
                _plus_minus(f"{d:+.4f}", h)
                for d, h in zip(tests["difference"], tests["half_width"], strict=True)
            ],
            "effect (d)": tests["effect"].map(_number("{:+.2f}")),
            "p": tests["p"].map(_number("{:.4f}")),
            "p (resampled)": tests["p_resampled"].map(_number("{:.4f}")),
            "found": tests["least"].map(_number("{:.4f}")),
            "p (Wilcoxon)": tests["p_wilcoxon"].map(_number("{:.4f}")),
            "p (Holm)": tests["p_holm"].map(_starred),
        }
    )


def _starred(p: float) -> str:
    return _number("{:.4f}")(p) + (" *" if p < statistics.SIGNIFICANCE else "")


def mixed_table(cases: pd.DataFrame, class_: int | None = None) -> pd.DataFrame:
    """Every strategy against each reference by the mixed model, Holm's correction by reference."""
    areas = mixed.areas_by_case(cases, class_)
    parts = []
    for reference in REFERENCES:
        found = mixed.differences(areas, reference)
        if found.empty or found["p"].isna().any():
            continue
        found = found.set_index("strategy").loc[in_order(list(found["strategy"]))].reset_index()
        holm = multipletests(found["p"], method="holm")[1]
        parts.append(
            pd.DataFrame(
                {
                    "strategy": found["strategy"],
                    "against": reference,
                    "difference": found["difference"].map("{:+.4f}".format),
                    "95 %": [
                        f"{low:+.4f} to {high:+.4f}"
                        for low, high in zip(found["low"], found["high"], strict=True)
                    ],
                    "p": found["p"].map("{:.4f}".format),
                    "p (Holm)": pd.Series(holm).map(_starred),
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def comparisons(rounds: pd.DataFrame, metric: str, budget: str = "labelled") -> pd.DataFrame:
    """The tests of ``comparison_table`` as numbers."""
    by_seed = statistics.areas(rounds, metric, budget)
    names = in_order(list(by_seed.columns))
    parts = [
        statistics.paired_tests(
            by_seed, [(n, r) for n in names if n != r], family=f"all against {r}"
        )
        for r in REFERENCES
        if r in names
    ]
    forms = [(f"{m}-selective", m) for m in MEASURES if {m, f"{m}-selective"} <= set(names)]
    parts.append(statistics.paired_tests(by_seed, forms, family="selective against plain"))
    return pd.concat([p for p in parts if not p.empty] or [pd.DataFrame()], ignore_index=True)


# Heading, column and form of what a network came to on the test cases beyond Dice.
_BEYOND = (
    ("HD95, mm", "hd95_mm", "{:.1f}"),
    ("surface Dice", "nsd", "{:.3f}"),
    ("lesions found", "lesion_sensitivity", "{:.2f}"),
    ("false lesions a case", "false_lesions", "{:.2f}"),
    ("calibration error", "ece", "{:.3f}"),
)


def beyond_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """The last round of each strategy and all labels, mean ± half of its interval over seeds.

    The interval of Dice over test cases is the mean of those of the seeds: what one division of
    the cases can tell. Empty for tables of earlier versions.
    """
    rows = statistics.at_the_end(rounds)
    if rows.empty or rows[[column for _, column, _ in _BEYOND]].isna().all(axis=None):
        return pd.DataFrame()
    by_strategy = rows.groupby("strategy")
    means = by_strategy[["dice_case", "dice_low", "dice_high"]].mean()
    names = [
        *in_order([n for n in means.index if n != FULL]),
        *(n for n in means.index if n == FULL),
    ]
    table: dict[str, list[str]] = {"strategy": names}
    table["Dice per case"] = [f"{means.loc[name, 'dice_case']:.3f}" for name in names]
    table["95 % over test cases"] = [
        _range(means.loc[name, "dice_low"], means.loc[name, "dice_high"]) for name in names
    ]
    for title, column, form in _BEYOND:
        values = [by_strategy.get_group(name)[column].dropna() for name in names]
        table[title] = [_spread(one, _number(form)) for one in values]
    return pd.DataFrame(table)


def _range(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{low:.3f} to {high:.3f}"


def _spread(values: "pd.Series[float]", written: Callable[[float], str]) -> str:
    mean, half = statistics.interval(values.to_numpy())
    return written(mean) if math.isnan(half) else f"{written(mean)} ± {written(half)}"


def class_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """Dice per case of each foreground class in the same rounds; empty for a single class."""
    rows = statistics.at_the_end(rounds)
    if rows.empty:
        return rows
    rows = rows[rows["dice_by_class"] != ""]
    if rows.empty:
        return pd.DataFrame()
    by_class = rows["dice_by_class"].str.split(" ", expand=True).astype(float)
    names = in_order([n for n in set(rows["strategy"]) if n != FULL])
    names += [FULL] * (FULL in set(rows["strategy"]))
    table: dict[str, list[str]] = {"strategy": names}
    for c in by_class.columns:
        table[f"class {c + 1}"] = [
            _interval(by_class.loc[rows["strategy"] == name, c].dropna()) for name in names
        ]
    return pd.DataFrame(table)


def spending_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """What the labels were spent on: blank and redundant slices, cases, outlines, seconds."""
    found = statistics.asked_for(rounds)
    found = found.loc[in_order(list(found.index))]
    return pd.DataFrame(
        {
            "strategy": found.index,
            "blank slices": found["blank"].map("{:.0%}".format),
            "nearest labelled slice": found["nearest"].map(_number("{:.2f}")),
            "cases a batch": found["cases_a_batch"].map("{:.1f}".format),
            "cases in the end": found["cases_in_the_end"].map("{:.1f}".format),
            "foreground pixels": found["foreground_pixels"].map("{:.0f}".format),
            "s to train": found["seconds_train"].map("{:.1f}".format),
            "s to score": found["seconds_score"].map(_number("{:.1f}")),
        }
    ).reset_index(drop=True)


def explored_table(selected: pd.DataFrame) -> pd.DataFrame:
    """How many batches of each strategy were drawn for variety; empty if none was."""
    batches = selected.groupby(["strategy", "seed", "round"])["stream"].first().reset_index()
    explored = (
        batches["stream"].eq(Stream.EXPLORE).groupby(batches["strategy"]).agg(["sum", "size"])
    )
    if not explored["sum"].any():
        return pd.DataFrame()
    explored = explored.loc[in_order(list(explored.index))]
    return pd.DataFrame(
        {
            "strategy": explored.index,
            "drawn for variety": explored["sum"].map("{:d}".format),
            "batches": explored["size"].map("{:d}".format),
        }
    ).reset_index(drop=True)


def penalty_table(rounds: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The pairwise penalty matrix with the mean of each column below it."""
    matrix = statistics.penalty_matrix(rounds, metric)
    names = in_order(list(matrix.index))
    matrix = matrix.loc[names, names]
    matrix.loc["beaten by others (mean)"] = matrix.sum() / max(len(names) - 1, 1)
    table = matrix.map("{:.2f}".format)
    table.index.name = "row beats column"
    return table.reset_index()
