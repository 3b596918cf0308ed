"""What a benchmark leaves on disk, so that any process can go on from it.

``settings.json`` what was asked for; ``effort.json`` an annotator's seconds, if given;
``seeds/S`` what the strategies of a seed share; ``runs/STRATEGY-S`` a file a finished round, and
the last weights; ``rounds.csv``, ``selected.csv``, ``cases.csv`` (Dice of every test case) and
``map.csv`` the tidy tables, from which alone the report is drawn.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from app.core.effort import Effort, read_effort

# Trainings that were done again lie in folders of their own in this one, by number from 1.
_REPEATS = "repeats"
# The strategy's name under which training on the whole pool is listed.
FULL = "full-labels"


@dataclass(frozen=True)
class RoundRow:
    """A row of the table. ``batch_*`` are of the slices that were labelled for this round.

    ``nearest``: mean distance of a slice of the batch to the nearest other labelled slice, in
    the features of the network trained on all labels, each scaled to deviation 1.
    From ``hd95_mm`` on, what the test came to beyond Dice (``segmentation.metrics.summary``);
    ``dice_low`` and ``dice_high``: 95 % interval of ``dice_case`` over the test cases;
    ``dice_by_class``: Dice per case of each foreground class where there are several, with
    spaces between. Tables of earlier versions lack them: NaN.
    """

    strategy: str
    seed: int
    round: int
    labelled: int
    pool: int
    foreground_pixels: int
    batch: int
    batch_blank: int
    batch_cases: int
    labelled_cases: int
    nearest: float
    dice_slice: float
    dice_case: float
    validation_loss: float
    epochs: int
    seconds_train: float
    seconds_score: float
    # Of later versions; tables of earlier ones lack them.
    validation: int = 0
    steps: int = 0
    collapses: int = 0
    held_back: int = 0
    dice_low: float = math.nan
    dice_high: float = math.nan
    hd95_mm: float = math.nan
    nsd: float = math.nan
    lesion_sensitivity: float = math.nan
    false_lesions: float = math.nan
    ece: float = math.nan
    dice_by_class: str = ""
    # What it was computed with, in short.
    machine: str = ""
    # Length of the outlines that were drawn for this round, in sides of the ground's pixels.
    batch_outline: float = math.nan
    # Trainings of the same strategy on the same seed, told apart by their own seeds alone.
    repeat: int = 0


def beyond_dice(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row that are taken from the figures of a test; NaN where unknown."""
    names = ("hd95_mm", "nsd", "lesion_sensitivity", "false_lesions", "ece")
    low, high = figures["intervals"]["dice_case"] or (math.nan, math.nan)
    classes = [f"{one['dice_case']:.4f}" for one in figures["classes"]]
    return {
        "dice_low": low,
        "dice_high": high,
        **{n: math.nan if figures[n] is None else float(figures[n]) for n in names},
        "dice_by_class": " ".join(classes) if len(classes) > 1 else "",
    }


def dice_by_case(figures: Mapping[str, Any]) -> dict[str, list[float]]:
    """Dice of each test case, by foreground class, of the figures of a test."""
    return {name: one["dice"] for name, one in figures["by_case"].items()}


@dataclass(frozen=True)
class Selected:
    """A slice that a round's model asked for: its number, why, and what it takes to answer.

    ``outline``: of its mask; ``suggested_pixels``: foreground that the model saw there;
    ``to_change``: outline that has to change in that suggestion (``app.core.outlines``, in
    sides of the ground's pixels). Files of earlier versions do not say.
    """

    slice: int
    case: str
    index: int
    stream: str
    score: float | None
    foreground_pixels: int
    outline: int | None = None
    suggested_pixels: int | None = None
    to_change: int | None = None


@dataclass(frozen=True)
class RoundFile:
    """One finished round: its row, what its model asked for next, and the folds of its cases.

    ``cases``: Dice of each test case, by foreground class; ``learned``: the cases that the network
    which goes on has learned from.
    """

    row: RoundRow
    selected: list[Selected]
    folds: dict[str, int] = field(default_factory=dict)
    cases: dict[str, list[float]] = field(default_factory=dict)
    learned: list[str] = field(default_factory=list)


class Record:
    """The folder of a benchmark, or of one of its repeats, which lie within it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        within = folder.parent.name == _REPEATS and folder.name.isdigit()
        self.repeat = int(folder.name) if within else 0
        self.settings_file = folder / "settings.json"
        self.rounds_file = folder / "rounds.csv"
        self.selected_file = folder / "selected.csv"
        self.cases_file = folder / "cases.csv"
        self.map_file = folder / "map.csv"
        self.effort_file = folder / "effort.json"
        self.stop_file = folder / "stop"
        self.lock_file = folder / "lock"

    @property
    def base(self) -> "Record":
        """The benchmark that this is a repeat of, or itself."""
        return Record(self.folder.parent.parent) if self.repeat else self

    def repeated(self, number: int) -> "Record":
        """The folder of a repeat; 0 is the benchmark itself."""
        return Record(self.folder / _REPEATS / str(number)) if number else self

    def all_repeats(self) -> list["Record"]:
        """The benchmark itself and the repeats that there are."""
        found = sorted(int(p.name) for p in (self.folder / _REPEATS).glob("*") if p.name.isdigit())
        return [self, *(self.repeated(number) for number in found)]

    @property
    def effort(self) -> Effort:
        """Seconds of an annotator, as they were given to this folder. Raises ``InvalidInput``."""
        return read_effort(self.effort_file) if self.effort_file.exists() else Effort()

    def seed_folder(self, seed: int) -> Path:
        """What the strategies of a seed share."""
        return self.folder / "seeds" / str(seed)

    def run_folder(self, strategy: str, seed: int) -> Path:
        """The rounds of one run."""
        return self.folder / "runs" / f"{strategy}-{seed}"

    def rounds_done(self, strategy: str, seed: int) -> int:
        """How many rounds of a run are finished; rounds are finished in order."""
        return len(list(self.run_folder(strategy, seed).glob("round-*.json")))

    def round_files(self, strategy: str, seed: int) -> list[RoundFile]:
        """The finished rounds of a run, first to last."""
        folder, rounds = self.run_folder(strategy, seed), self.rounds_done(strategy, seed)
        return [_read_round(round_path(folder, number)) for number in range(1, rounds + 1)]

    def shared_rows(self, seed: int) -> list[RoundRow]:
        """The row of the full-label baseline of a seed, if it is trained."""
        path = self.seed_folder(seed) / "full.json"
        return [RoundRow(**json.loads(path.read_text()))] if path.exists() else []

    def shared_cases(self, seed: int) -> dict[str, list[float]]:
        """Dice of each test case of the full-label baseline of a seed, if it is trained."""
        path = self.seed_folder(seed) / "full-cases.json"
        found: dict[str, list[float]] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def failed(self, seed: int) -> bool:
        """Whether the preparation of a seed ended in an error."""
        return (self.seed_folder(seed) / "error.txt").exists()

    def errors(self) -> dict[str, str]:
        """The runs that failed, and why."""
        paths = sorted(self.folder.glob("*/*/error.txt"))
        return {path.parent.name: path.read_text() for path in paths}


def round_path(folder: Path, number: int) -> Path:
    """The file of a round."""
    return folder / f"round-{number:02d}.json"


def _read_round(path: Path) -> RoundFile:
    found = json.loads(path.read_text())
    selected = [Selected(**one) for one in found["selected"]]
    later = {name: found[name] for name in ("folds", "cases", "learned") if name in found}
    return RoundFile(RoundRow(**found["row"]), selected, **later)


def write_json(path: Path, value: Any) -> None:
    """Write a file whole or not at all."""
    replace(path, json.dumps(value, indent=1).encode())


def replace(path: Path, content: bytes) -> None:
    """Put a file in its place in one step, so that a reader or a crash never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(path)


# What a run is told by.
_RUN = ["strategy", "seed", "repeat"]


def read_rounds(record: Record) -> pd.DataFrame:
    """The tidy table, empty if there is none yet. Raises ``ValueError`` for another table.

    Columns that earlier versions did not have are filled with their defaults.
    """
    known = {f.name: f.default for f in fields(RoundRow)}
    if not record.rounds_file.exists():
        return pd.DataFrame(columns=list(known))
    # Of the classes of a single round pandas might make a number.
    table = pd.read_csv(record.rounds_file, dtype={"dice_by_class": str, "machine": str})
    missing = [name for name in known if name not in table.columns]
    if set(table.columns) - set(known) or any(known[name] is MISSING for name in missing):
        raise ValueError(f"{record.rounds_file} has the columns {list(table.columns)}")
    table = table.assign(**{name: known[name] for name in missing})[list(known)]
    return table.fillna({"dice_by_class": "", "machine": ""})


def collect(record: Record, strategies: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    """Bring the finished rounds into the tidy tables; returns that of the rounds.

    Runs that the tables hold and the folder does not, from another machine or an earlier day,
    are kept.
    """
    rows: list[RoundRow] = []
    picks: list[dict[str, Any]] = []
    cases: list[dict[str, Any]] = []
    for seed in seeds:
        rows += record.shared_rows(seed)
        of_all = {"strategy": FULL, "seed": seed, "round": 0, "repeat": 0}
        cases += _case_rows(of_all, record.shared_cases(seed))
    for one, seed, strategy in product(record.all_repeats(), seeds, strategies):
        for file in one.round_files(strategy, seed):
            row = file.row
            rows.append(row)
            of_round = {
                "strategy": strategy,
                "seed": seed,
                "round": row.round,
                "repeat": one.repeat,
            }
            cases += _case_rows(of_round, file.cases)
            picks += [
                {**of_round, "rank": rank, **asdict(pick)}
                for rank, pick in enumerate(file.selected, start=1)
            ]
    _keep_map(record, seeds)
    table = _merged(read_rounds(record), pd.DataFrame([asdict(row) for row in rows]))
    if table.empty:
        return table
    replace(record.rounds_file, table.to_csv(index=False, float_format="%.6g").encode())
    _add(record.selected_file, pd.DataFrame(picks).drop(columns="slice", errors="ignore"))
    _add(record.cases_file, pd.DataFrame(cases))
    return table


def _case_rows(
    of_round: Mapping[str, Any], cases: Mapping[str, list[float]]
) -> list[dict[str, Any]]:
    return [
        {**of_round, "case": case, "class": number, "dice": dice}
        for case, by_class in cases.items()
        for number, dice in enumerate(by_class, start=1)
    ]


def _add(path: Path, fresh: pd.DataFrame) -> None:
    """Bring fresh rows into a table that may be there already."""
    table = _merged(pd.read_csv(path) if path.exists() else pd.DataFrame(), fresh)
    if not table.empty:
        # Whole numbers stay whole where some are not known.
        whole = table.convert_dtypes()
        replace(path, whole.to_csv(index=False, float_format="%.4g").encode())


def _keep_map(record: Record, seeds: Sequence[int]) -> None:
    """The two-dimensional map of the lowest seed's pool: one is enough for a figure."""
    path = record.seed_folder(min(seeds)) / "map.json"
    if record.map_file.exists() or not path.exists():
        return
    columns = ["case", "index", "foreground_pixels", "x", "y"]
    table = pd.DataFrame(json.loads(path.read_text()), columns=columns)
    table.insert(0, "seed", min(seeds))
    replace(record.map_file, table.to_csv(index=False, float_format="%.4g").encode())


def _merged(known: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """Both tables; of a run that is in both, the fresh rows."""
    if fresh.empty or known.empty:
        merged = known if fresh.empty else fresh
    else:
        if "repeat" not in known:
            known = known.assign(repeat=0)
        runs = pd.MultiIndex.from_frame(fresh[_RUN])
        stale = pd.MultiIndex.from_frame(known[_RUN]).isin(runs)
        merged = pd.concat([known[~stale], fresh])
    order = ("strategy", "seed", "repeat", "round", "rank")
    keys = [c for c in order if c in merged.columns]
    return merged.sort_values(keys, ignore_index=True) if keys else merged
