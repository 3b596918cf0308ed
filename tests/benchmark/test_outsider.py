"""What a report says can be computed anew from its CSV files, with pandas and nothing of ours."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.benchmark.tiny import TINY, run


@pytest.fixture(scope="module")
def folder(phantom, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("outsider")
    # Long enough that networks differ.
    learning = (*TINY, "training.members=1", "training.epochs=60")
    assert run(phantom, out, "random,entropy-selective", assignments=learning)
    return out


def table(folder: Path, heading: str) -> pd.DataFrame:
    """The Markdown table below a heading of the report, by its first column."""
    text = (folder / "report.md").read_text().split(f"\n## {heading}\n")[1]
    lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("|")]
    cells = "\n".join(line.strip("| ") for line in lines[:1] + lines[2:])
    return pd.read_csv(io.StringIO(cells), sep=r"\s*\|\s*", engine="python", index_col=0, dtype=str)


def test_every_table_of_dice_and_minutes(folder):
    rounds, picks = (pd.read_csv(folder / f"{name}.csv") for name in ("rounds", "selected"))
    runs = rounds[rounds["strategy"] != "full-labels"]
    curves = runs.pivot_table(index=["strategy", "seed"], columns="round", values="dice_case")
    area = (curves.iloc[:, 1:].to_numpy() + curves.iloc[:, :-1].to_numpy()).mean(axis=1) / 2
    area = pd.Series(area, curves.index).groupby("strategy").agg(["mean", "sem"])
    half = stats.t.ppf(0.975, 1) * area["sem"]
    looks = (5 * runs["batch"].groupby([runs["strategy"], runs["seed"], runs["round"]]).sum()).xs(
        1, level="round"
    )
    # The phantom's pixels are averaged two by two: a side of the table is two of the original.
    first = looks + 0.4 * runs[runs["round"] == 1].set_index(["strategy", "seed"])["batch_outline"]
    corrected = np.minimum(0.4 * picks["to_change"], 1 + 0.4 * picks["outline"])
    drawn = np.where(picks["suggested_pixels"] > 0, corrected, 0.4 * picks["outline"])
    later = (5 + picks.assign(s=drawn)["s"]).groupby([picks["strategy"], picks["seed"]]).sum()
    minutes = ((first + later) / 60).groupby("strategy").mean()

    learned = table(folder, "Dice per case by labelled slices")
    said = table(folder, "Area under the budget curve")["Dice per case"]
    spent = table(folder, "Budget in minutes")["minutes in the end"]
    for strategy, of_round in curves.groupby("strategy").mean().iterrows():
        assert learned.loc[strategy].iloc[:3].astype(float).tolist() == pytest.approx(
            of_round.tolist(), abs=6e-5
        )
        assert said[strategy] == f"{area['mean'][strategy]:.4f} ± {half[strategy]:.4f}"
        assert float(spent[strategy].split(" ± ")[0]) == pytest.approx(minutes[strategy], abs=0.06)


def test_every_difference_and_its_tests(folder):
    rounds = pd.read_csv(folder / "rounds.csv")
    runs = rounds[rounds["strategy"] != "full-labels"]
    curves = runs.pivot_table(index=["strategy", "seed"], columns="round", values="dice_case")
    area = (curves.iloc[:, 1:].to_numpy() + curves.iloc[:, :-1].to_numpy()).mean(axis=1) / 2
    by_seed = pd.Series(area, curves.index).unstack("strategy")
    gain = by_seed["entropy-selective"] - by_seed["random"]
    error = gain.std(ddof=1) * np.sqrt(1 / 2 + 0.3 / 0.7)
    shown = table(folder, "Tests on the areas, Dice per case").loc["all against random"]
    assert float(shown["difference"].split(" ± ")[0]) == pytest.approx(gain.mean(), abs=6e-5)
    p = stats.ttest_rel(by_seed["entropy-selective"], by_seed["random"]).pvalue
    assert float(shown["p"]) == pytest.approx(p, abs=1e-4)
    corrected = 2 * stats.t.sf(abs(gain.mean() / error), 1)
    assert float(shown["p (resampled)"]) == pytest.approx(corrected, abs=1e-4)
