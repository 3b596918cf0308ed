"""A mixed model of Dice by case: what strategies differ in, beside seeds, cases and trainings.

Areas of whole runs throw away that hard cases are hard for every strategy. Here each test case of
each run is a row: strategies are fixed effects; seeds, cases and runs (a strategy on a seed: its
networks are all that its rows share beyond both) are random ones.
"""

import warnings

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from statsmodels.tools.sm_exceptions import ConvergenceWarning

# Fewer runs than this say nothing of how they vary.
_LEAST_SEEDS = 3


def areas_by_case(cases: pd.DataFrame, class_: int | None = None) -> pd.DataFrame:
    """Area of Dice over the rounds of every test case: strategy, seed, case, area.

    cases: as ``cases.csv`` has them. Of one foreground class, or the mean over all. Runs that
    lack rounds that others have are left out.
    """
    rows = cases[cases["round"] > 0]
    if class_ is not None:
        rows = rows[rows["class"] == class_]
    keys = ["strategy", "seed", "case"]
    by_round = rows.groupby([*keys, "round"])["dice"].mean().unstack("round").dropna()
    values = by_round.to_numpy()
    found = (values[:, 1:] + values[:, :-1]).mean(axis=1) / 2
    return pd.DataFrame({"area": found}, index=by_round.index).reset_index()


def differences(areas: pd.DataFrame, reference: str) -> pd.DataFrame:
    """How far each strategy lies from a reference: strategy, difference, low, high, p.

    areas: as ``areas_by_case`` gives them. 95 % intervals and p are Wald's, uncorrected. Empty
    with fewer than three seeds or without the reference; NaN where the model cannot be fitted.
    """
    others = sorted(set(areas["strategy"]) - {reference})
    if (
        not others
        or reference not in set(areas["strategy"])
        or areas["seed"].nunique() < _LEAST_SEEDS
    ):
        return pd.DataFrame(columns=["strategy", "difference", "low", "high", "p"])
    run = areas["strategy"] + " " + areas["seed"].astype(str)
    table = areas.assign(run=run, everything=1)
    for name in others:
        table[_column(others, name)] = (table["strategy"] == name).astype(float)
    model = smf.mixedlm(
        "area ~ " + " + ".join(_column(others, name) for name in others),
        table,
        groups="everything",
        vc_formula={name: f"0 + C({name})" for name in ("seed", "case", "run")},
    )
    with warnings.catch_warnings():
        # A component of no variance lies on the boundary: nothing is wrong with the others.
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            fitted = model.fit(method="lbfgs")
        except np.linalg.LinAlgError:
            return pd.DataFrame({"strategy": others}).reindex(
                columns=["strategy", "difference", "low", "high", "p"]
            )
    intervals = fitted.conf_int()
    columns = [_column(others, name) for name in others]
    return pd.DataFrame(
        {
            "strategy": others,
            "difference": fitted.params[columns].to_numpy(),
            "low": intervals.loc[columns, 0].to_numpy(),
            "high": intervals.loc[columns, 1].to_numpy(),
            "p": fitted.pvalues[columns].to_numpy(),
        }
    )


def _column(names: list[str], name: str) -> str:
    """A name for formulas: those of strategies may hold anything."""
    return f"is_{names.index(name)}"
