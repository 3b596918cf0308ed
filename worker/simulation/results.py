"""What a simulated round came to, and the table of it."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class RoundResult:
    """A row of the table. Dice is of the test split where there is one, else of validation."""

    round: int
    labelled: int
    measured_on: str
    dice_slice: float
    dice_case: float
    seconds: float


def print_table(console: Console, results: list[RoundResult]) -> None:
    """One row a round."""
    measured_on = {result.measured_on for result in results}
    title = f"Dice on {' and '.join(sorted(measured_on))} cases" if measured_on else "no round"
    table = Table(
        "round",
        "labelled slices",
        "Dice per slice",
        "Dice per case",
        "seconds",
        title=title,
    )
    for r in results:
        cells = (f"{r.dice_slice:.3f}", f"{r.dice_case:.3f}", f"{r.seconds:.1f}")
        table.add_row(str(r.round), str(r.labelled), *cells)
    console.print(table)
