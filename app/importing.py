"""`sfumato import`: from a folder into a project, with a bar and a report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import select

from app.core.errors import InvalidInput, VolumeInvalid
from app.core.project_settings import ProjectSettings, in_words, with_assignments
from app.core.splits import assign_splits
from app.formats.layout import DataSet, ReadOptions, find_layout
from app.loop.datasets import ImportReport, Masks, import_cases
from app.loop.projects import create_project
from app.store import Database, Project

# With masks there is something to validate and to test on; without, all of it is pool.
_VALIDATION_WITH_MASKS, _TEST_WITH_MASKS = 0.1, 0.2


@dataclass(frozen=True)
class ImportOptions:
    """How a data set is taken in. Fractions left out depend on whether there are masks.

    ``channels``: which of those that the data set offers, by name or number; without any, those
    of the project, or all for a new one.
    """

    masks: Masks | None = None
    merge: bool = False
    validation: float | None = None
    test: float | None = None
    channels: tuple[str, ...] = ()
    seed: int = 0
    assignments: list[str] = field(default_factory=list)


def import_data_set(
    database: Database, layout: str, path: Path, project_name: str, options: ImportOptions
) -> ImportReport:
    """Import a folder with a bar on the terminal.

    Raises ``InvalidInput`` for wrong options, ``VolumeInvalid`` when the folder is not of the
    layout or some cases were refused; the others are in by then.
    """
    console = Console()
    with Progress(console=console) as bar:
        task = bar.add_task(f"importing {path.name}", total=None)
        report = import_folder(
            database,
            layout,
            path,
            project_name,
            options,
            on_case=lambda total: bar.update(task, advance=1, total=total),
        )
    console.print(
        f"{report.cases} cases: {report.new_slices} new slices, "
        f"{report.known_slices} were there already"
    )
    for name, said in report.warnings.items():
        for warning in said:
            console.print(f"[yellow]{name}: {warning}[/yellow]", soft_wrap=True)
    if report.refused:
        reasons = "\n".join(f"  {name}: {why}" for name, why in report.refused.items())
        raise VolumeInvalid(f"{len(report.refused)} cases were left out:\n{reasons}")
    return report


def import_folder(
    database: Database,
    layout: str,
    path: Path,
    project_name: str,
    options: ImportOptions,
    on_case: Callable[[int], None] = lambda total: None,
) -> ImportReport:
    """Import a folder; ``on_case`` is told the number of all cases after each.

    Raises ``UnknownName``, ``InvalidInput`` for wrong options, ``VolumeInvalid`` for a folder of
    another layout.
    """
    reader = find_layout(layout)
    if options.masks not in (None, "pool", "oracle"):
        raise InvalidInput(f"--with-masks takes pool or oracle, not {options.masks!r}")
    if not path.is_dir():
        raise InvalidInput(f"{path} is not a folder")
    wanted = options.channels or _channels(database, project_name)
    data_set = reader.read(path, ReadOptions(options.masks is not None, wanted))
    wanted_settings = _settings(data_set, options)
    _check_same(database, project_name, wanted_settings, options.assignments)
    kept = _channels(database, project_name)
    order = channel_order(kept or tuple(data_set.channels), data_set.channels)
    validation, test = options.validation, options.test
    splits = assign_splits(
        (case.name for case in data_set.cases),
        (_VALIDATION_WITH_MASKS if options.masks else 0.0) if validation is None else validation,
        (_TEST_WITH_MASKS if options.masks else 0.0) if test is None else test,
        options.seed,
    )
    return import_cases(
        database,
        lambda: _project(database, project_name, wanted_settings),
        data_set.cases,
        splits,
        options.masks,
        options.merge,
        order,
        on_case=lambda name: on_case(len(data_set.cases)),
    )


def channel_order(kept: Sequence[str], offered: Sequence[str]) -> list[int]:
    """Which of the offered channels is each of a project's, by name.

    A project's single channel ``image`` has no name of its own and takes any. Raises
    ``VolumeInvalid``.
    """
    if len(kept) == len(offered) == 1 and "image" in (*kept, *offered):
        return [0]
    places = {name.casefold(): number for number, name in enumerate(offered)}
    if len(places) != len(kept) or any(name.casefold() not in places for name in kept):
        raise VolumeInvalid(
            f"the project has the channels {', '.join(kept)}, the data set would bring "
            f"{', '.join(offered)}: name them with --channel, or import into another project"
        )
    return [places[name.casefold()] for name in kept]


def _channels(database: Database, name: str) -> tuple[str, ...]:
    """The channels of a project that is there."""
    with database.reading() as session:
        found = session.scalar(select(Project).where(Project.name == name))
        return tuple(found.channels) if found else ()


def _settings(data_set: DataSet, options: ImportOptions) -> ProjectSettings:
    """What a project for a data set is made with."""
    named = {
        "classes": None if options.merge else data_set.classes,
        "channels": list(data_set.channels),
    }
    try:
        base = ProjectSettings.model_validate({k: v for k, v in named.items() if v})
    except ValidationError as error:
        raise VolumeInvalid(
            f"the names in the data set cannot be a project's: {in_words(error)}"
        ) from error
    return with_assignments(base, options.assignments)


def _check_same(
    database: Database, name: str, wanted: ProjectSettings, assignments: list[str]
) -> None:
    """Raise ``InvalidInput`` when a project that is there has other settings than those asked."""
    with database.reading() as session:
        found = session.scalar(select(Project).where(Project.name == name))
        if found is None or not assignments:
            return
        if (found.query, found.training) != (
            wanted.query.model_dump(),
            wanted.training.model_dump(),
        ):
            raise InvalidInput(f"project {name!r} is there with other settings: omit --set")


def _project(database: Database, name: str, wanted: ProjectSettings) -> Project:
    """The project of that name, made if need be."""
    with database.writing() as session:
        found = session.scalar(select(Project).where(Project.name == name))
        return found or create_project(session, name, wanted)
