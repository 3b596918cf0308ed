"""The learning curve as a picture that reads in print and by the colour-blind."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from worker.simulation.results import RoundResult

# Okabe and Ito's blue and vermilion differ in lightness too; the markers differ in shape.
_SERIES = (
    ("dice_case", "Dice per case", "#0072B2", "o", "-"),
    ("dice_slice", "Dice per slice (empty pairs count 1)", "#D55E00", "s", "--"),
)


def draw_curve(points: Sequence[RoundResult], path: Path, title: str) -> None:
    """Write Dice over labelled slices as PNG."""
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
        axes = figure.subplots()
        for name, label, colour, marker, line in _SERIES:
            axes.plot(
                [p.labelled for p in points],
                [getattr(p, name) for p in points],
                color=colour,
                marker=marker,
                linestyle=line,
                label=label,
            )
        measured_on = " and ".join(sorted({p.measured_on for p in points}))
        axes.set(xlabel="labelled slices", ylabel=f"Dice ({measured_on} cases)", title=title)
        axes.set_ylim(0, 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
