"""The figures of a report: readable in print, told apart by lightness, marker and line."""

import io
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from app.core.catalogue import PAPER_MEASURES as MEASURES
from app.core.catalogue import own_names
from worker.benchmark import statistics
from worker.benchmark.tables import METRICS, in_order

# Okabe and Ito's colours; markers and lines tell the same strategies apart without colour.
_COLOURS = ("#000000", "#D55E00", "#56B4E9", "#CC79A7", "#0072B2", "#009E73", "#E69F00")
_MARKERS = "osD^vPX"
_LINES = ("-", "--", "-.", ":")
_DRAWN_MOST = (
    "random",
    "random-foreground",
    "entropy",
    "entropy-target",
    "entropy-selective",
    "clasp",
    "foreground-areas",
)
_MAPPED = ("random", "entropy", "entropy-selective")


def curves(rounds: pd.DataFrame, metric: str) -> bytes:
    """Learning curves with 95 % bands over seeds, a panel for each measure and one for others."""
    runs = statistics.runs_of(rounds)
    panels = _panels(in_order(list(runs["strategy"].unique())))
    figure = _figure(len(panels), 2 if len(panels) > 1 else 1, sharey=True)
    goal = statistics.baseline(rounds, metric)
    for axes, (title, names) in zip(figure.axes, panels.items(), strict=False):
        for name in names:
            _curve(axes, runs[runs["strategy"] == name], metric, name)
        if not np.isnan(goal):
            axes.axhline(goal, color="0.4", linewidth=1, linestyle=(0, (1, 2)), label="all labels")
        axes.set(title=title, xlabel="labelled slices", ylabel=METRICS[metric])
        axes.set_ylim(*_range_of(runs.groupby(["strategy", "labelled"])[metric].mean(), goal))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="lower right")
    return _png(figure)


def differences(rounds: pd.DataFrame, metric: str, reference: str) -> bytes:
    """Learning curves as paired differences to a strategy, seed by seed, with 95 % bands.

    What seeds differ in, their cases and first slices, cancels out here.
    """
    runs = statistics.runs_of(rounds)
    theirs = runs[runs["strategy"] == reference].set_index(["seed", "round"])[metric]
    keys = pd.MultiIndex.from_frame(runs[["seed", "round"]])
    paired = runs.assign(difference=runs[metric].to_numpy() - theirs.reindex(keys).to_numpy())
    paired = paired.dropna(subset="difference")
    panels = _panels([n for n in in_order(list(runs["strategy"].unique())) if n != reference])
    figure = _figure(len(panels), 2 if len(panels) > 1 else 1, sharey=True)
    for axes, (title, names) in zip(figure.axes, panels.items(), strict=False):
        axes.axhline(0, color="0.4", linewidth=1)
        for name in names:
            _curve(axes, paired[paired["strategy"] == name], "difference", name)
        words = f"{METRICS[metric]}\nless that of {reference}"
        axes.set(title=title, xlabel="labelled slices", ylabel=words)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="lower right")
    return _png(figure)


def _range_of(means: pd.Series, goal: float) -> tuple[float, float]:
    """What is shown of 0 to 1: the curves. Bands of a few seeds may be as wide as all of it."""
    lowest, highest = float(means.min()), float(np.nanmax([means.max(), goal]))
    room = max(0.4 * (highest - lowest), 0.05)
    return max(0.0, lowest - room), min(1.0, highest + room)


def _panels(names: Sequence[str]) -> dict[str, list[str]]:
    """Strategies that belong on one picture, seven at the most; random is on each."""
    panels: dict[str, list[str]] = {}
    for measure in MEASURES:
        forms = [n for n in names if n in (measure, f"{measure}-target", f"{measure}-selective")]
        if forms:
            panels[measure] = forms
    drawn = {name for forms in panels.values() for name in forms}
    others = [name for name in names if name not in drawn and name != "random"]
    if len(panels) == 1 and len(others) + len(drawn) < len(_COLOURS):
        panels = {"": [*panels.popitem()[1], *others]}
    else:
        for start in range(0, len(others), len(_COLOURS) - 1):
            panels[f"others {start // 6 + 1}"] = others[start : start + len(_COLOURS) - 1]
    if "random" in names:
        panels = {title: ["random", *forms] for title, forms in panels.items()} or {"": ["random"]}
    return panels


def _style(name: str) -> dict[str, str]:
    """Of a strategy in every figure; its colour is its own among those that are drawn most."""
    known = list(dict.fromkeys([*_DRAWN_MOST, *own_names("strategy")]))
    place = known.index(name) if name in known else len(known) + zlib.crc32(name.encode())
    turn = place // len(_COLOURS)
    return {
        "color": _COLOURS[place % len(_COLOURS)],
        "marker": _MARKERS[(place + turn) % len(_MARKERS)],
        "linestyle": _LINES[turn % len(_LINES)],
    }


def _curve(axes: Axes, runs: pd.DataFrame, metric: str, name: str) -> None:
    points = [
        (labelled, *statistics.interval(values.to_numpy()))
        for labelled, values in runs.groupby("labelled")[metric]
    ]
    style = _style(name)
    x, mean, half = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    axes.plot(x, mean, label=name, markersize=4, linewidth=1.4, **style)  # type: ignore[arg-type]
    if not np.isnan(half).any():
        axes.fill_between(x, mean - half, mean + half, color=style["color"], alpha=0.12)


def over_minutes(rounds: pd.DataFrame, metric: str) -> bytes:
    """Learning curves over what the labels cost: means over seeds, round by round."""
    return _over(rounds, "minutes", metric, "minutes of an annotator")


def efficiency(rounds: pd.DataFrame, metric: str) -> bytes:
    """Dice over the foreground pixels that were outlined: means over seeds."""
    return _over(rounds, "foreground_pixels", metric, "labelled foreground pixels")


def _over(rounds: pd.DataFrame, budget: str, metric: str, label: str) -> bytes:
    """Means over seeds, round by round, over something that runs spend differently."""
    runs = statistics.runs_of(rounds)
    figure = _figure(1, 1)
    axes = figure.axes[0]
    for name in in_order(list(runs["strategy"].unique())):
        means = runs[runs["strategy"] == name].groupby("round")[[budget, metric]].mean()
        style: dict[str, Any] = {**_style(name), "markersize": 4, "linewidth": 1, "label": name}
        axes.plot(means[budget], means[metric], **style)
    axes.set(xlabel=label, ylabel=METRICS[metric])
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, ncols=2, loc="lower right")
    return _png(figure)


def area_differences(grounds: Mapping[str, pd.DataFrame], metric: str, reference: str) -> bytes:
    """Areas as paired differences to a strategy with 95 % intervals, a panel a ground.

    Filled: over minutes, where they are known; open: over labelled slices.
    """
    most = max(runs["strategy"].nunique() for runs in grounds.values())
    size = (4.2 * len(grounds) + 0.4, 1.2 + 0.3 * most)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    figure.subplots(1, len(grounds), squeeze=False)
    for axes, (ground, rounds) in zip(figure.axes, grounds.items(), strict=False):
        by_budget = {
            budget: statistics.areas(rounds, metric, budget).dropna(axis=1, how="all")
            for budget in ("labelled", "minutes")
            if budget in rounds
        }
        names = [n for n in in_order(list(by_budget["labelled"])) if n != reference]
        axes.axvline(0, color="0.4", linewidth=1)
        for place, name in enumerate(names):
            for budget, by_seed in by_budget.items():
                if not {name, reference} <= set(by_seed):
                    continue
                mean, half = statistics.interval((by_seed[name] - by_seed[reference]).dropna())
                filled = budget == "minutes"
                style = {key: value for key, value in _style(name).items() if key != "linestyle"}
                axes.errorbar(
                    mean,
                    place + (0.15 if filled else -0.15),
                    xerr=None if np.isnan(half) else half,
                    markersize=5,
                    markerfacecolor=None if filled else "white",
                    elinewidth=1.4 if filled else 0.8,
                    capsize=2,
                    **style,  # type: ignore[arg-type]
                )
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set(title=ground, xlabel=f"area of {METRICS[metric]}\nless that of {reference}")
        axes.grid(axis="x", alpha=0.3)
    return _png(figure)


def penalties(rounds: pd.DataFrame, metric: str) -> bytes:
    """The pairwise penalty matrix in greys, with its numbers."""
    matrix = statistics.penalty_matrix(rounds, metric)
    names = in_order(list(matrix.index))
    values = matrix.loc[names, names].to_numpy()
    side = max(3.2, 0.42 * len(names) + 1.8)
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(side, side), dpi=110, layout="constrained")
        axes = figure.subplots()
        axes.imshow(values, cmap="Greys", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        for (row, column), value in np.ndenumerate(values):
            if value > 0:
                colour = "white" if value > 0.5 else "black"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
        axes.set_title("row beats column: share of rounds")
        return _png(figure)


def selections(selected: pd.DataFrame, places: pd.DataFrame) -> bytes | None:
    """Figure 2 of the paper: the pool by t-SNE, and what each strategy asked for in it.

    Of one seed; None if none of random, entropy, entropy-selective was run on it.
    """
    seed = places["seed"].iloc[0]
    chosen = selected[selected["seed"] == seed]
    names = [name for name in _MAPPED if name in set(chosen["strategy"])]
    if not names:
        return None
    figure = _figure(len(names), len(names), sharey=True)
    darkest = max(float(np.log1p(places["foreground_pixels"].max())), 1.0)
    for axes, name in zip(figure.axes, names, strict=False):
        picks = chosen[chosen["strategy"] == name].merge(
            places[["case", "index", "x", "y"]], on=["case", "index"]
        )
        axes.scatter(places["x"], places["y"], s=4, color="0.85", linewidths=0)
        blank = picks["foreground_pixels"] == 0
        axes.scatter(
            picks.loc[blank, "x"],
            picks.loc[blank, "y"],
            s=14,
            facecolors="none",
            edgecolors="#D55E00",
            linewidths=0.7,
            label="asked for, blank",
        )
        dots = axes.scatter(
            picks.loc[~blank, "x"],
            picks.loc[~blank, "y"],
            s=14,
            c=np.log1p(picks.loc[~blank, "foreground_pixels"]),
            cmap="Blues",
            vmin=0,
            vmax=darkest,
            edgecolors="black",
            linewidths=0.3,
            label="asked for, the darker the more target",
        )
        dots.set_rasterized(True)
        axes.set(title=name, xticks=[], yticks=[])
    figure.axes[0].legend(fontsize=6, loc="lower left")
    return _png(figure)


def _figure(panels: int, columns: int, sharey: bool = False) -> Figure:
    rows = -(-panels // columns)
    figure = Figure(figsize=(4.2 * columns + 0.4, 3.1 * rows), dpi=110, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    for spare in grid.ravel()[panels:]:
        spare.remove()
    return figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
