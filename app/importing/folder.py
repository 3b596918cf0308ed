"""From a folder into a project: what is there, what may come in, and some slices at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import select

from app.core.errors import InvalidInput, SfumatoError, VolumeInvalid
from app.core.project_settings import ProjectSettings, in_words, with_assignments
from app.core.splits import Split, assign_splits
from app.formats.opening import Listing, Request
from app.formats.processes import ProcessSource
from app.formats.source import (
    CaseBegun,
    CaseEnded,
    Handling,
    LocalSource,
    Source,
)
from app.importing.keeping import Keeping
from app.importing.naming import Names, Pseudonyms, safe_names
from app.importing.options import ImportOptions, Progress, Watch, unwatched
from app.importing.report import CaseTaken, ImportReport
from app.loop.datasets import IncomingCase
from app.loop.projects import create_project
from app.store import Database, Project

# With masks there is something to validate and to test on; without, all of it is pool.
_VALIDATION_WITH_MASKS, _TEST_WITH_MASKS = 0.1, 0.2


def import_folder(
    database: Database,
    layout: str,
    path: Path,
    project_name: str,
    options: ImportOptions,
    watch: Watch = unwatched,
) -> ImportReport:
    """Import a folder, or with ``options.check`` only say what would come in.

    Each case is read and encoded outside of any transaction, and kept some slices at a time, so
    that others write in between. An import that was interrupted goes on where it stopped when it
    is run again. A case that cannot be read is named in the report, the others are taken. A
    project that is not there is made once a case could be read.

    Raises ``UnknownName``, ``InvalidInput`` for wrong options, ``VolumeInvalid`` for a folder of
    another layout, and whatever ``watch`` raises to stop it.
    """
    options = options.checked()
    if not path.is_dir():
        raise InvalidInput(f"{path} is not a folder")
    # Messages shorten whole paths only; a "." or "d" is part of many words.
    path = path.resolve()
    wanted = options.channels or _channels(database, project_name)
    with _source(Request(layout, path, options.reading(wanted)), options.processes) as source:
        listing = source.listing()
        pseudonyms = Pseudonyms(options.pseudonyms, path) if options.pseudonyms else None
        plan = _plan(database, project_name, options, listing, pseudonyms)
        return _Import(database, plan, options, pseudonyms, watch).run(source)


def _source(request: Request, processes: int) -> Source:
    return ProcessSource(request, processes) if processes else LocalSource(request)


@dataclass(frozen=True)
class _Plan:
    """What is to be done with the cases of a listing."""

    listing: Listing
    warnings: tuple[str, ...]
    names: Names
    splits: dict[str, Split]
    project: str
    settings: ProjectSettings
    handling: Handling

    def split_of(self, number: int) -> Split:
        """The data set's own, else by the seed."""
        return self.splits[self.names.kept[number]]


def _plan(
    database: Database,
    project: str,
    options: ImportOptions,
    listing: Listing,
    pseudonyms: Pseudonyms | None,
) -> _Plan:
    names = pseudonyms.names(listing.cases) if pseudonyms else safe_names(listing.cases)
    settings = _settings(listing, options)
    found = _found(database, project)
    if found is not None:
        _check_same(found, settings, options.assignments)
        settings = ProjectSettings.model_validate(
            {"classes": found.classes, "channels": found.channels}
        )
    classes, renamed = class_order(
        settings.classes, listing.classes if options.masks and not options.merge else None
    )
    return _Plan(
        warnings=(*listing.warnings, *renamed),
        listing=listing,
        names=names,
        splits=_splits(listing, names, options),
        project=project,
        settings=settings,
        handling=Handling(
            channels=tuple(channel_order(tuple(settings.channels), listing.channels)),
            classes=classes if options.masks else None,
            names=tuple(settings.classes),
            merge=options.merge,
            # A project that is there is compared with, also where nothing is kept.
            encode=not options.check or found is not None,
        ),
    )


def _splits(listing: Listing, names: Names, options: ImportOptions) -> dict[str, Split]:
    validation, test = options.validation, options.test
    if listing.splits and validation is None and test is None and options.masks:
        # The data set says what its cases are for; those it does not name are pool.
        return {
            kept: listing.splits.get(raw, Split.POOL)
            for raw, kept in zip(listing.cases, names.kept, strict=True)
        }
    with_masks = options.masks is not None
    return assign_splits(
        names.kept,
        (_VALIDATION_WITH_MASKS if with_masks else 0.0) if validation is None else validation,
        (_TEST_WITH_MASKS if with_masks else 0.0) if test is None else test,
        options.seed,
    )


class _Import:
    """One run over the cases of a source."""

    def __init__(
        self,
        database: Database,
        plan: _Plan,
        options: ImportOptions,
        pseudonyms: Pseudonyms | None,
        watch: Watch,
    ) -> None:
        self._plan = plan
        self._options = options
        self._watch = watch
        self._words: Callable[[str], str] = pseudonyms.without if pseudonyms else str
        self._withhold = pseudonyms is not None
        self._keeping = Keeping(
            database, plan.project, lambda: _project(database, plan.project, plan.settings), options
        )
        self._done = 0
        listing = plan.listing
        self.report = ImportReport(
            layout=listing.layout, found=self._words(listing.found), checked=options.check
        )
        self._leave_out(listing.left_out)
        self.report.warn("", *map(self._words, plan.warnings))

    def run(self, source: Source) -> ImportReport:
        """Take in all cases."""
        names = self._plan.names.kept
        self._tell(names[0] if names else None)
        begun: CaseBegun | None = None
        failed: str | None = None
        for number, event in source.events(range(len(names)), self._plan.handling):
            name = names[number]
            try:
                if isinstance(event, CaseBegun):
                    begun, failed = event, None
                    self._begin(number, event)
                elif isinstance(event, CaseEnded):
                    if begun is not None and failed is None and event.refused is None:
                        self._end(number, begun)
                    elif failed is None:
                        failed = event.refused or "it could not be read"
                elif failed is None:
                    self._keeping.add(event.slices)
            except SfumatoError as error:
                failed = str(error)
            if isinstance(event, CaseEnded):
                if failed is not None:
                    there = self._keeping.drop()
                    stays = (
                        f"; {there} of its slices had come in by then, and stay" if there else ""
                    )
                    self.report.refused[name] = self._words(failed) + stays
                begun, failed = None, None
                self._done += 1
                following = names[number + 1] if number + 1 < len(names) else None
                self._tell(following)
            else:
                self._tell(name)
        self.report.new_slices = self._keeping.new
        self.report.known_slices = self._keeping.known
        self.report.retraining = self._keeping.retraining
        return self.report

    def _begin(self, number: int, begun: CaseBegun) -> None:
        source = dict(begun.source)
        if self._withhold:
            source.pop("file", None)
        case = IncomingCase(
            self._plan.names.kept[number], self._plan.split_of(number), begun.affine, source
        )
        self._keeping.begin(case, begun.facts)

    def _end(self, number: int, begun: CaseBegun) -> None:
        plan, name = self._plan, self._plan.names.kept[number]
        self._keeping.end()
        report = self.report
        report.cases += 1
        if name in plan.names.changed:
            report.warn(name, plan.names.changed[name])
        report.warn(name, *map(self._words, begun.warnings))
        self._leave_out(begun.left_out)
        report.taken.append(
            CaseTaken.of(
                name,
                plan.split_of(number),
                begun.facts,
                list(plan.settings.channels),
                list(plan.settings.classes),
            )
        )

    def _leave_out(self, files: Mapping[str, str]) -> None:
        for file, why in files.items():
            name = key = self._words(file)
            again = 2
            # Names that are withheld look alike: each file has its line.
            while key in self.report.left_out:
                key, again = f"{name} ({again})", again + 1
            self.report.left_out[key] = self._words(why)

    def _tell(self, case: str | None) -> None:
        total = len(self._plan.names.kept)
        self._watch(Progress(self._done, total, self._keeping.new + self._keeping.known, case))


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


def class_order(
    kept: Sequence[str], offered: Sequence[str] | None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The project's number of each class of a data set, by its name; and what to tell.

    A data set that names none has the project's, in their order; so has one of the same number
    of classes of which only one, or none but the background, goes by another name. Raises
    ``VolumeInvalid`` where a name is none of the project's.
    """
    if offered is None:
        return tuple(range(len(kept))), ()
    places = {name.casefold(): number for number, name in enumerate(kept)}
    numbers = [places.get(name.casefold()) for name in offered]
    numbers[0] = 0 if numbers[0] is None else numbers[0]
    unknown = [n for n, number in enumerate(numbers) if number is None]
    free = [n for n in range(len(kept)) if n not in numbers]
    if len(unknown) == len(free) == 1:
        numbers[unknown[0]] = free[0]
        told = f"the class {offered[unknown[0]]!r} is taken for {kept[free[0]]!r} of the project"
        return tuple(n for n in numbers if n is not None), (told,)
    if unknown or len(set(numbers)) < len(numbers):
        raise VolumeInvalid(
            f"the project has the classes {', '.join(kept)}, the data set {', '.join(offered)}: "
            "name them alike, merge them with --merge-labels, or import into another project"
        )
    return tuple(n for n in numbers if n is not None), ()


def _found(database: Database, name: str) -> Project | None:
    with database.reading() as session:
        return session.scalar(select(Project).where(Project.name == name))


def _channels(database: Database, name: str) -> tuple[str, ...]:
    """The channels of a project that is there."""
    found = _found(database, name)
    return tuple(found.channels) if found else ()


def _settings(listing: Listing, options: ImportOptions) -> ProjectSettings:
    """What a project for a data set is made with."""
    named = {
        "classes": None if options.merge or listing.classes is None else list(listing.classes),
        "channels": list(listing.channels),
    }
    try:
        base = ProjectSettings.model_validate({k: v for k, v in named.items() if v})
    except ValidationError as error:
        raise VolumeInvalid(
            f"the names in the data set cannot be a project's: {in_words(error)}"
        ) from error
    return with_assignments(base, options.assignments)


def _check_same(found: Project, wanted: ProjectSettings, assignments: list[str]) -> None:
    """Raise ``InvalidInput`` when a project that is there has other settings than those asked."""
    settings = (wanted.query.model_dump(), wanted.training.model_dump())
    if assignments and (found.query, found.training) != settings:
        raise InvalidInput(f"project {found.name!r} is there with other settings: omit --set")


def _project(database: Database, name: str, wanted: ProjectSettings) -> Project:
    """The project of that name, made if need be."""
    with database.writing() as session:
        found = session.scalar(select(Project).where(Project.name == name))
        return found or create_project(session, name, wanted)
