"""Tables on the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from app.loop.round_times import RoundTime, share_of_steps


def _in_words(parts: Mapping[str, float], form: str) -> str:
    """All parts in one cell, largest first: it wraps where a terminal or a pipe is narrow."""
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    return ", ".join(f"{part} {form.format(value)}" for part, value in ordered)


def print_times(times: Sequence[RoundTime]) -> None:
    """What each retraining's seconds went to, and all of them together."""
    console = Console()
    if not times:
        console.print("no retraining has ended well yet")
        return
    table = Table(title="seconds of each retraining")
    for title in ("model", "all"):
        table.add_column(title, justify="right")
    table.add_column("of these")
    for one in times:
        parts = {**one.parts, "other": one.other}
        table.add_row(f"{one.model}", f"{one.seconds:.1f}", _in_words(parts, "{:.1f}"))
    table.add_section()
    whole = sum(max(one.seconds, sum(one.parts.values())) for one in times) or 1.0
    shares: Counter[str] = Counter()
    for one in times:
        for part, seconds in {**one.parts, "other": one.other}.items():
            shares[part] += 100 * seconds / whole  # type: ignore[assignment]
    table.add_row("share", "", _in_words(shares, "{:.0f} %"))
    console.print(table)
    share = share_of_steps(times)
    if share is not None:
        console.print(f"training steps: {100 * share:.0f} % of {whole:.0f} s")
    machines = sorted({words for one in times for words in one.machines})
    if len(machines) > 1:
        console.print("workers computed in different ways, so scores of one model may not match:")
    for words in machines:
        console.print(f"  computed with {words}", soft_wrap=True, highlight=False)
