"""Budgets in minutes: what the labels of a run cost whoever gives them.

Equal numbers of slices are no equal cost: a blank slice takes a look, a jagged target an outline.
"""

import json

import numpy as np
import pandas as pd

from app.core.effort import Effort
from worker.benchmark.record import Record, read_rounds
from worker.benchmark.settings import settings_kept


def read_in_minutes(record: Record) -> pd.DataFrame:
    """The rounds of a benchmark's folder, with minutes by its annotator's seconds.

    Raises ``ValueError``, ``InvalidInput``.
    """
    path = record.selected_file
    selected = pd.read_csv(path) if path.exists() else pd.DataFrame()
    shrink = 1
    if record.settings_file.exists():
        kept = json.loads(record.settings_file.read_text())
        shrink = settings_kept(kept["settings"]).ground.shrink
    return with_minutes(read_rounds(record), selected, record.effort, shrink)


def with_minutes(
    rounds: pd.DataFrame, selected: pd.DataFrame, effort: Effort, shrink: int
) -> pd.DataFrame:
    """The rounds with ``minutes``, all that a run has spent by then; NaN where nobody knows.

    The first batch is drawn from nothing, later ones by correcting what the round's model
    suggests; validation slices cost as much as those of the first batch do on average. ``shrink``:
    pixels of the original along a side of the ground's, which are drawn one by one.
    """
    rounds = rounds.assign(minutes=np.nan)
    if "outline" not in selected or selected.empty:
        return rounds
    seconds = [
        effort.seconds(shrink * outline, suggested > 0, shrink * to_change)
        for outline, suggested, to_change in zip(
            selected["outline"], selected["suggested_pixels"], selected["to_change"], strict=True
        )
    ]
    run = ["strategy", "seed", "repeat"]
    rounds, selected = (
        table if "repeat" in table else table.assign(repeat=0) for table in (rounds, selected)
    )
    keys = [*run, "round"]
    by_round = selected.assign(seconds=seconds).groupby(keys)["seconds"].sum(min_count=1)
    for which, of_run in rounds[rounds["round"] > 0].groupby(run):
        ordered = of_run.sort_values("round")
        first = ordered.iloc[0]
        mean = effort.slice_seconds + effort.pixel_seconds * shrink * (
            first["batch_outline"] / first["batch"]
        )
        spent = [mean * (first["batch"] + first["validation"])]
        # What a round's model asks for is labelled for the next.
        spent += [by_round.get((*which, number - 1), np.nan) for number in ordered["round"][1:]]
        rounds.loc[ordered.index, "minutes"] = np.cumsum(spent) / 60
    return rounds
