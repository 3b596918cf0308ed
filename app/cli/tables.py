"""Tables on the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from app.loop.round_times import RoundTime, share_of_steps


def print_times(times: Sequence[RoundTime]) -> None:
    """What each retraining's seconds went to, and all of them together."""
    console = Console()
    if not times:
        console.print("no retraining has ended well yet")
        return
    parts = list(dict.fromkeys(part for one in times for part in one.parts))
    table = Table(title="seconds of each retraining")
    for title in ("model", "all", *parts, "other"):
        table.add_column(title, justify="right")
    for one in times:
        found = [one.parts.get(part, 0.0) for part in parts]
        table.add_row(f"{one.model}", *(f"{s:.1f}" for s in (one.seconds, *found, one.other)))
    table.add_section()
    whole = sum(max(one.seconds, sum(one.parts.values())) for one in times) or 1.0
    sums = [sum(one.parts.get(part, 0.0) for one in times) for part in parts]
    shares = (*sums, sum(one.other for one in times))
    table.add_row("share", "", *(f"{100 * s / whole:.0f} %" for s in shares))
    console.print(table)
    share = share_of_steps(times)
    if share is not None:
        console.print(f"training steps: {100 * share:.0f} % of {whole:.0f} s")
    machines = sorted({words for one in times for words in one.machines})
    if len(machines) > 1:
        console.print("workers computed in different ways, so scores of one model may not match:")
    for words in machines:
        console.print(f"  computed with {words}", soft_wrap=True, highlight=False)
