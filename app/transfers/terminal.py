"""`sfumato import` and `sfumato export` on a terminal: a bar, and the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress as Bar
from rich.table import Table

from app.core.errors import VolumeInvalid
from app.importing.folder import import_folder
from app.importing.options import ImportOptions, Progress
from app.importing.report import CaseTaken, ImportReport
from app.loop.access import HERE
from app.loop.projects import find_project
from app.store import Database, Role, TransferKind
from app.transfers.recorded import recorded

if TYPE_CHECKING:
    from app.exporting import ExportOptions, ExportReport

# Beyond this a list is summed up: nobody reads it on a terminal, and the dashboard has it all.
_LINES = 40


@dataclass(frozen=True)
class Unfetched:
    """What was to come from elsewhere and did not, with the reasons, and what else is known."""

    refused: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def add_to(self, report: ImportReport) -> ImportReport:
        """Note it with what was left out of the import itself."""
        report.refused = {**self.refused, **report.refused}
        report.warn("", *self.warnings)
        return report


_ALL_THERE = Unfetched()


def import_data_set(
    database: Database,
    layout: str,
    path: Path,
    project_name: str,
    options: ImportOptions,
    unfetched: Unfetched = _ALL_THERE,
) -> ImportReport:
    """Import a folder with a bar on the terminal; the report is kept for the dashboard.

    Raises ``InvalidInput`` for wrong options, ``VolumeInvalid`` when the folder is not of the
    layout or some cases were refused; the others are in by then.
    """
    console = Console()
    with Bar(console=console) as bar:
        what = "" if options.pseudonyms else f" {path.name}"
        task = bar.add_task(f"{'checking' if options.check else 'importing'}{what}")
        bar.update(task, total=None)

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.cases, total=progress.total)

        if options.check:
            report = import_folder(database, layout, path, project_name, options, show)
            unfetched.add_to(report)
        else:
            kept = options.to_dict()
            kind = TransferKind.IMPORT
            with recorded(
                database, kind, project_name, layout, kept, discreet=options.pseudonyms is not None
            ) as record:

                def watch(progress: Progress) -> None:
                    show(progress)
                    record.watch(progress)

                report = import_folder(database, layout, path, project_name, options, watch)
                unfetched.add_to(report)
                record.report = report.to_dict()
    print_report(console, report)
    if report.refused:
        reasons = "\n".join(_first(report.refused, lambda name, why: f"  {name}: {why}"))
        would = "would be" if report.checked else "were"
        raise VolumeInvalid(f"{len(report.refused)} cases {would} left out:\n{reasons}")
    return report


def export_data_set(
    database: Database, project: str, out: Path, options: "ExportOptions"
) -> "ExportReport":
    """Export into a new folder with a bar on the terminal; the report is kept for the dashboard.

    Raises ``NotFound``, ``InvalidInput``, ``VolumeInvalid`` when some cases could not go out; the
    others are written by then.
    """
    # Loaded here: an import does not wait for what writes.
    from app.exporting import export_project

    with database.reading() as session:
        name = find_project(session, HERE, project, Role.ADMIN).name
    console = Console()
    with Bar(console=console) as bar:
        task = bar.add_task(f"exporting {name}", total=None)
        with recorded(
            database, TransferKind.EXPORT, name, options.format, options.to_dict()
        ) as record:

            def show(done: int, total: int, case: str) -> None:
                bar.update(task, completed=done, total=total)
                record.watch(Progress(done, total, 0, case))

            report = export_project(database, name, out, options, show)
            record.report = asdict(report)
    for case, said in report.warnings.items():
        for warning in said:
            console.print(f"[yellow]{_plain(f'{case}: {warning}')}[/yellow]", soft_wrap=True)
    for remark in report.remarks:
        console.print(_plain(remark), soft_wrap=True)
    console.print(f"{report.cases} cases with {report.masks} masks are in {out}", soft_wrap=True)
    if report.left_out:
        reasons = "\n".join(_first(report.left_out, lambda case, why: f"  {case}: {why}"))
        raise VolumeInvalid(f"{len(report.left_out)} cases were left out:\n{reasons}")
    return report


def print_report(console: Console, report: ImportReport) -> None:
    """What came in, or would; every file left out; every warning."""
    console.print(f"{report.layout}: {report.found}", soft_wrap=True)
    if report.checked:
        console.print(_table(report.taken[:_LINES]))
        if len(report.taken) > _LINES:
            console.print(f"… and {len(report.taken) - _LINES} more cases")
    for line in _first(report.left_out, lambda file, why: f"{file} is left out: {why}"):
        console.print(f"[yellow]{_plain(line)}[/yellow]", soft_wrap=True)
    said = {f"{name}\0{n}": w for name, ws in report.warnings.items() for n, w in enumerate(ws)}
    for line in _first(said, lambda name, w: f"{name.split(chr(0))[0]}: {w}".removeprefix(": ")):
        console.print(f"[yellow]{_plain(line)}[/yellow]", soft_wrap=True)
    if report.checked:
        console.print(
            f"{report.cases} cases would come in, with {report.new_slices} new slices; "
            f"{report.known_slices} are there already. Nothing was kept."
        )
    else:
        console.print(
            f"{report.cases} cases: {report.new_slices} new slices, "
            f"{report.known_slices} were there already"
        )


def _table(cases: list[CaseTaken]) -> Table:
    table = Table("case", "split", "slices", "size", "spacing (mm)", "plane", "values", "classes")
    for one in cases:
        spacing = one.spacing
        missing = f" (+{one.missing} missing)" if one.missing else ""
        table.add_row(
            _plain(one.name),
            one.split.value,
            f"{one.slices}{missing}",
            f"{one.width} × {one.height}",
            "unknown"
            if spacing is None
            else " × ".join(f"{spacing[k]:.4g}" for k in ("column", "row", "slice")),
            one.plane or "unknown",
            f"{one.low:.6g} … {one.high:.6g}{f' {one.unit}' if one.unit else ''}",
            ", ".join(map(_plain, one.classes)),
        )
    return table


def _first(entries: dict[str, str], line: Callable[[str, str], str]) -> list[str]:
    lines = [line(name, one) for name, one in list(entries.items())[:_LINES]]
    more = len(entries) - len(lines)
    return [*lines, f"  … and {more} more"] if more > 0 else lines


def _plain(text: str) -> str:
    """Brackets are names here, not the terminal's markup."""
    return text.replace("[", r"\[")
