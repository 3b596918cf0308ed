"""What came of it, as two Markdown tables: what was done, and what was lost."""

from collections.abc import Sequence

from chaos.verdict import Verdict


def tally(verdicts: Sequence[Verdict]) -> str:
    """Faults by kind with the longest wait after any of them; then what must not be, counted."""
    titles = [verdict.title for verdict in verdicts]
    lines = ["", *_head("fault (longest until answered)", titles)]
    kinds = dict.fromkeys(strike.fault for verdict in verdicts for strike in verdict.strikes)
    lines += [_row(name, [_struck(verdict, name) for verdict in verdicts]) for name in kinds]
    together = [f"{len(v.strikes)} ({v.longest:.1f} s)" for v in verdicts]
    lines += [_row("**in all**", together), "", *_head("what came of it", titles)]
    first = verdicts[0]
    lines += [_row(name, [str(v.counts[name]) for v in verdicts]) for name in first.counts]
    lines += [_row(f"**{n}**", [str(len(v.wrong[n])) for v in verdicts]) for n in first.wrong]
    for verdict in verdicts:
        for name, found in verdict.wrong.items():
            lines += [f"{verdict.title}, {name}: {one}" for one in found[:10]]
    return "\n".join(lines)


def _struck(verdict: Verdict, name: str) -> str:
    seconds = [strike.seconds for strike in verdict.strikes if strike.fault == name]
    return f"{len(seconds)} ({max(seconds):.1f} s)" if seconds else ""


def _head(first: str, titles: Sequence[str]) -> list[str]:
    return [_row(first, titles), _row("---", ["---:"] * len(titles))]


def _row(first: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join((first, *cells)) + " |"
