"""The report: tables and figures with a few words each, as Markdown and as one HTML file."""

import base64
import html
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from worker.benchmark.parts import Part, parts_of, settings_in
from worker.benchmark.record import Record, replace

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #8886 }
th:first-child, td:first-child { text-align: left }
.wide { overflow-x: auto }
img { max-width: 100%; background: white }
.warning { border: 2px solid #c62828; padding: 0 1rem }
.warning h2 { color: #c62828 }
pre { overflow-x: auto; padding: 1rem; border: 1px solid #8886 }
"""


def write_report(record: Record) -> Path:
    """Draw the report from the tables; returns the HTML file."""
    parts = list(parts_of(record))
    title = _title(record)
    for part in parts:
        if part.picture:
            replace(record.folder / "figures" / part.picture[0], part.picture[1])
        if part.table is not None:
            name = re.sub(r"[^a-z0-9]+", "-", part.title.lower()).strip("-")
            replace(record.folder / "tables" / f"{name}.tex", _latex(part.table).encode())
    replace(record.folder / "report.md", _markdown(title, parts).encode())
    page = record.folder / "report.html"
    replace(page, _page(title, parts).encode())
    return page


def _title(record: Record) -> str:
    preset = settings_in(record).get("settings", {}).get("preset")
    return f"Query strategies on {preset or record.folder.name}"


def _markdown(title: str, parts: list[Part]) -> str:
    blocks = [f"# {title}"]
    for part in parts:
        blocks += [f"## {part.title}", part.words]
        if part.lines:
            mark = "- **Warning.** " if part.warns else "- "
            blocks.append("\n".join(mark + line for line in part.lines))
        if part.table is not None:
            blocks.append(_markdown_table(part.table))
        if part.picture is not None:
            blocks.append(f"![{part.title}](figures/{part.picture[0]})")
        if part.listing is not None:
            blocks.append(f"```json\n{part.listing}\n```")
    return "\n\n".join(blocks) + "\n"


def _markdown_table(table: pd.DataFrame) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    rule = line(["---", *["---:"] * (len(table.columns) - 1)])
    rows = [line([str(cell) for cell in row]) for row in table.itertuples(index=False)]
    return "\n".join([line([str(c) for c in table.columns]), rule, *rows])


def _latex(table: pd.DataFrame) -> str:
    """A table for a paper, with the rules of booktabs."""

    def line(cells: Iterable[str]) -> str:
        return " & ".join(_escaped(str(cell)) for cell in cells) + r" \\"

    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            line(table.columns),
            r"\midrule",
            *(line(row) for row in table.itertuples(index=False)),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    """What TeX would take for a command, as it is read."""
    return re.sub(r"([%&_#$])", r"\\\1", text).replace("±", r"$\pm$").replace("–", "--")


def _page(title: str, parts: list[Part]) -> str:
    body = "".join(_section(part) for part in parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{body}</body></html>\n"
    )


def _section(part: Part) -> str:
    blocks = [f"<h2>{html.escape(part.title)}</h2>", f"<p>{html.escape(part.words)}</p>"]
    if part.lines:
        blocks.append(f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in part.lines)}</ul>")
    if part.table is not None:
        blocks.append(f'<div class="wide">{part.table.to_html(index=False, border=0)}</div>')
    if part.picture is not None:
        data = base64.b64encode(part.picture[1]).decode()
        alt = html.escape(part.title)
        blocks.append(f'<img alt="{alt}" src="data:image/png;base64,{data}">')
    if part.listing is not None:
        blocks.append(f"<pre>{html.escape(part.listing)}</pre>")
    mark = ' class="warning"' if part.warns else ""
    return f"<section{mark}>{''.join(blocks)}</section>\n"
