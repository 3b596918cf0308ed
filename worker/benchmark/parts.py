"""What stands in a report: its parts in order, each drawn from a benchmark's tables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from worker.benchmark import figures, plainly, statistics, tables
from worker.benchmark.minutes import read_in_minutes
from worker.benchmark.record import Record
from worker.segmentation.metrics.volumes import TOLERANCE_MM


@dataclass(frozen=True)
class Part:
    """One part of a report: a heading, a few words, then what there is of the rest.

    ``lines``: sentences, one below the other; ``warns``: shown in red.
    """

    title: str
    words: str
    table: pd.DataFrame | None = None
    picture: tuple[str, bytes] | None = None
    listing: str | None = None
    lines: tuple[str, ...] = ()
    warns: bool = False


def parts_of(record: Record) -> Iterator[Part]:
    """All parts, or a few where little was run."""
    rounds = read_in_minutes(record)
    runs = statistics.runs_of(rounds)
    if rounds.empty:
        yield Part("Nothing yet", "No run is finished.")
        return
    if runs.empty:
        yield Part(
            "All labels",
            "Networks of all labels of the pool, a row a seed; no strategy has run.",
            tables.full_table(rounds),
        )
        return
    warned = tuple(plainly.warnings_of(rounds))
    if warned:
        why = "What forbids to read too much into it:"
        yield Part("Before you read on", why, lines=warned, warns=True)
    yield _summary(rounds, runs)
    yield from _in_words(rounds)
    others = [n for n in tables.REFERENCES if n in set(runs["strategy"])]
    reference = others[0] if others and runs["strategy"].nunique() > 1 else None
    for metric, name in tables.METRICS.items():
        yield from _over_slices(rounds, metric, name, reference)
    if reference is not None:
        yield Part(
            f"Areas less that of {reference}",
            "Paired by seed, with the 95 % interval of the mean difference. Filled: areas over an "
            "annotator's minutes, where they are known; open: over labelled slices.",
            picture=(
                "areas.png",
                figures.area_differences({"": rounds}, "dice_case", reference),
            ),
        )
    yield Part(
        "Area under the budget curve",
        "The mean of Dice over the budget, ± half of its 95 % interval over seeds. Foreground "
        "efficiency: how fast Dice per case grows with the pixels that had to be outlined.",
        tables.area_table(rounds),
    )
    yield from _beyond(rounds)
    for metric, name in tables.METRICS.items():
        tests = tables.comparison_table(rounds, metric)
        if not tests.empty:
            yield Part(
                f"Tests on the areas, {name}",
                "Paired t-tests over seeds; `*`: p < 0.05 after Holm's correction within the "
                "family. Effect: Cohen's d of the differences. Resampled: the same test, corrected "
                "for seeds that divide the same cases (Nadeau and Bengio 2003). Found: the least "
                "difference that so many seeds find with 80 % power, uncorrected; what is less "
                "than that may be there and not be seen.",
                tests,
            )
        yield Part(
            f"Pairwise penalties, {name}",
            "The share of rounds in which the row is better than the column with p < 0.05, "
            "paired over seeds; the less a column has, the better.",
            tables.penalty_table(rounds, metric),
            (f"penalties-{metric}.png", figures.penalties(rounds, metric)),
        )
    yield from _by_case(record)
    yield from _in_minutes(record, rounds, runs)
    yield Part(
        "Dice over outlined foreground",
        "Outlines cost time, blank slices do not: the same curves over foreground pixels.",
        picture=("efficiency.png", figures.efficiency(rounds, "dice_case")),
    )
    yield Part(
        "What the labels were spent on",
        "After the first batch. Nearest labelled slice: mean distance in the features of the "
        "network that was trained on all labels; small means redundant.",
        tables.spending_table(rounds),
    )
    yield from _explored(record)
    yield from _map(record)
    words = machines_differ(rounds)
    if words is not None:
        yield Part("Computed on different machines", words)
    settings = settings_in(record)
    settings.pop("data", None)
    yield Part("Settings", "All of them.", listing=json.dumps(settings, indent=1))


def _over_slices(
    rounds: pd.DataFrame, metric: str, name: str, reference: str | None
) -> Iterator[Part]:
    yield Part(
        f"{name} by labelled slices",
        "The layout of the paper's table 2: means over seeds, the highest of them, and the "
        "labels at which the mean reaches that of training on all labels (`/`: never).",
        tables.learning_table(rounds, metric),
    )
    for measure, table in tables.ablation_tables(rounds, metric).items():
        yield Part(f"Ablation of {measure}, {name}", "The layout of the paper's table 1.", table)
    yield Part(
        f"Learning curves, {name}",
        "Means over seeds, with the 95 % interval of the mean where there are two or more.",
        picture=(f"curves-{metric}.png", figures.curves(rounds, metric)),
    )
    if reference is not None:
        yield Part(
            f"Difference to {reference}, {name}",
            "Paired by seed, so that what seeds differ in cancels out; with the 95 % interval "
            "of the mean difference where there are two seeds or more.",
            picture=(
                f"differences-{metric}.png",
                figures.differences(rounds, metric, reference),
            ),
        )


def _in_words(rounds: pd.DataFrame) -> Iterator[Part]:
    lines = tuple(plainly.sentences(tables.comparisons(rounds, "dice_case"), "labelled"))
    if rounds.loc[rounds["round"] > 0, "minutes"].notna().all():
        by_minutes = tables.comparisons(rounds, "dice_case", "minutes")
        lines += tuple(plainly.sentences(by_minutes, "minutes"))
    if lines:
        yield Part(
            "In words",
            "Areas of Dice per case; the intervals are of 95 %, paired by seed. What is better on "
            "these divisions of the cases alone need not be so on others.",
            lines=lines,
        )


def _by_case(record: Record) -> Iterator[Part]:
    if not record.cases_file.exists():
        return
    cases = pd.read_csv(record.cases_file)
    table = tables.mixed_table(cases)
    if table.empty:
        return
    yield Part(
        "By case",
        "A mixed model of the area of each test case: strategies are fixed effects, seeds, cases "
        "and runs random ones; 95 % intervals and p are Wald's, Holm's correction is over one "
        "reference.",
        table=table,
    )
    classes = sorted(set(cases["class"]))
    for number in classes if len(classes) > 1 else ():
        words = f"The same of class {number} alone."
        yield Part(f"By case, class {number}", words, table=tables.mixed_table(cases, number))


def _in_minutes(record: Record, rounds: pd.DataFrame, runs: pd.DataFrame) -> Iterator[Part]:
    """The same comparison by what the labels cost; nothing for tables that do not say."""
    if runs["minutes"].isna().any():
        return
    effort = record.effort
    yield Part(
        "Budget in minutes",
        f"An annotator looks at a slice for {effort.slice_seconds:g} s and draws a pixel's side of "
        f"outline, in pixels of the original, in {effort.pixel_seconds:g} s; a suggestion is "
        f"corrected or, in {effort.clear_seconds:g} s, taken away, whichever is quicker "
        "(`--effort FILE` for other seconds). Areas are up to the minutes that all runs of a seed "
        "have spent.",
        tables.minutes_table(rounds),
    )
    yield Part(
        "Learning curves over minutes",
        "Means over seeds of Dice per case and of minutes, round by round.",
        picture=("minutes.png", figures.over_minutes(rounds, "dice_case")),
    )
    tests = tables.comparison_table(rounds, "dice_case", "minutes")
    if not tests.empty:
        yield Part(
            "Tests on the areas over minutes, Dice per case", "As above, over minutes.", tests
        )


def _beyond(rounds: pd.DataFrame) -> Iterator[Part]:
    """What Dice does not say of the last networks; nothing for tables of earlier versions."""
    table = tables.beyond_table(rounds)
    if not table.empty:
        yield Part(
            "Beyond Dice",
            "Networks of the last round and of all labels on the test cases, ± half of the 95 % "
            "interval over seeds; the interval over test cases is by bootstrap, the mean of the "
            "seeds' intervals. HD95: 95 % of the outlines lie no farther apart; a case in which "
            "one outline is empty counts the diagonal of its volume. Surface Dice: the share of "
            f"both outlines within {TOLERANCE_MM:g} mm of the other. Lesions found: the share "
            "that the prediction touches; false lesions touch no mask. Calibration error: how far "
            "the predicted probability is from the share of right pixels, over foreground.",
            table,
        )
    table = tables.class_table(rounds)
    if not table.empty:
        yield Part("Dice per case by class", "Of the same networks, mean ± half interval.", table)


def _summary(rounds: pd.DataFrame, runs: pd.DataFrame) -> Part:
    areas = statistics.areas(rounds, "dice_case").mean().sort_values(ascending=False)
    seeds = runs.groupby("strategy")["seed"].nunique()
    span = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    order = ", ".join(f"{name} {value:.4f}" for name, value in areas.items())
    looked_at = statistics.looked_at(runs)
    validation = f" ({looked_at} of them for validation)" if looked_at else ""
    return Part(
        "In short",
        f"{len(seeds)} strategies on {span} seeds each, {runs['round'].max()} rounds, "
        f"{runs['labelled'].min()} to {runs['labelled'].max()} labelled slices{validation} of a "
        f"pool of {runs['pool'].mean():.0f}. Training on all labels gives "
        f"{statistics.baseline(rounds, 'dice_case'):.4f} per case and "
        f"{statistics.baseline(rounds, 'dice_slice'):.4f} per slice. Mean area under the budget "
        f"curve, Dice per case: {order}. Dice per slice counts a blank prediction of a blank "
        "slice as 1; Dice per case is of the whole volume. Runs of one seed share cases, first "
        "slices and first weights.",
    )


def machines_differ(rounds: pd.DataFrame) -> str | None:
    """What to say of a table whose rows come from different instruction sets; else None."""
    # Of what a row says, the instruction set and, before it, a GPU's name; threads go after it.
    found = rounds["machine"].str.replace(r"/\d+ threads/.*", "", regex=True)
    counts = found[found != ""].value_counts()
    if len(counts) < 2:
        return None
    of_each = ", ".join(f"{name} ({count} rows)" for name, count in counts.items())
    return (
        f"Rows of the table were computed with different instructions: {of_each}. The same seed "
        "gives other networks with each, so runs of one seed are paired only within one of them."
    )


def _explored(record: Record) -> Iterator[Part]:
    """Batches that are no strategy's doing, named: they would be credited to it otherwise."""
    if not record.selected_file.exists():
        return
    table = tables.explored_table(pd.read_csv(record.selected_file))
    if not table.empty:
        yield Part(
            "Batches drawn for variety",
            "While no target was labelled, or the network predicted none in the pool, the batch "
            "was drawn for variety over cases and places in place of the strategy's: rounds in "
            "which strategies do not differ.",
            table,
        )


def _map(record: Record) -> Iterator[Part]:
    if not (record.map_file.exists() and record.selected_file.exists()):
        return
    places = pd.read_csv(record.map_file)
    picture = figures.selections(pd.read_csv(record.selected_file), places)
    if picture is not None:
        yield Part(
            "Where the selected slices lie",
            f"The paper's figure 2: t-SNE of the pool of seed {places['seed'].iloc[0]} in the "
            "features of the network trained on all labels.",
            picture=("selections.png", picture),
        )


def settings_in(record: Record) -> dict[str, Any]:
    """What the folder was computed with; empty where it does not say."""
    try:
        found: dict[str, Any] = json.loads(record.settings_file.read_text())
    except FileNotFoundError:
        return {}
    return found
