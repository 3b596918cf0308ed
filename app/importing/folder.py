"""From a folder into a project: what is there, what may come in, and some slices at a time."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import select

from app.core.errors import InvalidInput, SfumatoError, VolumeInvalid
from app.formats.opening import Request
from app.formats.processes import ProcessSource
from app.formats.source import CaseBegun, CaseEnded, CaseEvent, LocalSource, SlicesRead, Source
from app.importing.keeping import Keeping, is_away
from app.importing.naming import Pseudonyms
from app.importing.options import ImportOptions, ImportStopped, Progress, Watch, unwatched
from app.importing.plan import Plan, channels_of, make_plan
from app.importing.report import CaseTaken, ImportReport
from app.loop.access import refuse_archived
from app.loop.datasets import IncomingCase
from app.loop.projects import create_project
from app.store import Database, Project


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
    wanted = options.channels or channels_of(database, project_name)
    with _source(Request(layout, path, options.reading(wanted)), options.processes) as source:
        pseudonyms = Pseudonyms(options.pseudonyms, path) if options.pseudonyms else None
        try:
            listing = source.listing()
        except VolumeInvalid as error:
            said = str(error)
            raise VolumeInvalid(pseudonyms.without(said) if pseudonyms else said) from None
        plan = make_plan(database, project_name, options, listing, pseudonyms)
        return _Import(database, plan, options, pseudonyms, watch).run(source)


def _source(request: Request, processes: int) -> Source:
    return ProcessSource(request, processes) if processes else LocalSource(request)


class _Import:
    """One run over the cases of a source."""

    def __init__(
        self,
        database: Database,
        plan: Plan,
        options: ImportOptions,
        pseudonyms: Pseudonyms | None,
        watch: Watch,
    ) -> None:
        self._plan = plan
        self._options = options
        self._watch = watch
        self._words: Callable[[str], str] = pseudonyms.without if pseudonyms else str
        self._withhold = pseudonyms is not None
        self._keeping = Keeping(database, plan.project, lambda: _project(database, plan), options)
        self._done = 0
        self._alike: Counter[str] = Counter()
        # Of the case that is being read: how it began, and why it cannot be taken.
        self._begun: CaseBegun | None = None
        self._failed: str | None = None
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
        for number, event in source.events(range(len(names)), self._plan.handling):
            self._take(number, event)
            if isinstance(event, CaseEnded):
                self._done += 1
                self._tell(names[number + 1] if number + 1 < len(names) else None)
            else:
                self._tell(names[number])
        self.report.new_slices = self._keeping.new
        self.report.known_slices = self._keeping.known
        self.report.retraining = self._keeping.retraining
        return self.report

    def _take(self, number: int, event: CaseEvent) -> None:
        """What a case's files or the project do not allow is the case's own matter."""
        if isinstance(event, CaseBegun):
            self._begun, self._failed = event, None
        if isinstance(event, CaseEnded) and event.refused is not None:
            self._failed = self._failed or event.refused
        if self._failed is None:
            try:
                self._keep(number, event)
            except ImportStopped:
                raise
            except SfumatoError as error:
                self._failed = str(error)
            except Exception as error:
                # A database that is away is everybody's.
                if is_away(error):
                    raise
                kind = type(error).__name__
                self._failed = f"it cannot be kept ({kind})"
        if isinstance(event, CaseEnded):
            if self._failed is not None:
                there = self._keeping.drop()
                stays = f"; {there} slices had come in by then, and stay" if there else ""
                name = self._plan.names.kept[number]
                self.report.refused[name] = self._words(self._failed) + stays
            self._begun, self._failed = None, None

    def _keep(self, number: int, event: CaseEvent) -> None:
        if isinstance(event, CaseBegun):
            self._begin(number, event)
        elif isinstance(event, SlicesRead):
            self._keeping.add(event.slices)
        elif self._begun is not None:
            self._end(number, self._begun)

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
        if self._keeping.otherwise:
            report.warn(
                name,
                f"{self._keeping.otherwise} of its slices are there with other labels than these, "
                "which were left alone",
            )
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
            name = self._words(file)
            self._alike[name] += 1
            # Names that are withheld look alike: each file has its line.
            key = f"{name} ({self._alike[name]})" if self._alike[name] > 1 else name
            self.report.left_out[key] = self._words(why)

    def _tell(self, case: str | None) -> None:
        total = len(self._plan.names.kept)
        self._watch(Progress(self._done, total, self._keeping.new + self._keeping.known, case))


def _project(database: Database, plan: Plan) -> Project:
    """The project that is imported into, made if need be.

    Raises ``ImportStopped`` where it was there when the import began, and was deleted since.
    """
    with database.writing() as session:
        found = session.scalar(select(Project).where(Project.name == plan.project))
        if found is None and plan.was_there:
            raise ImportStopped(f"the project {plan.project!r} was deleted: nothing more comes in")
        if found is not None:
            refuse_archived(found.name, found.archived_at)
        return found or create_project(session, plan.project, plan.settings)
