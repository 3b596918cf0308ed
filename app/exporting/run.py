"""An export, case by case: read, written, noted. Nothing is read or written in a transaction that
others wait for, and one case at a time is in memory.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.core.errors import InvalidInput, SfumatoError, VolumeInvalid
from app.core.model_scores import without_cases
from app.exporting.card import Card
from app.formats.writer import About, Target, Writer, find_writer
from app.loop.access import HERE
from app.loop.chosen_masks import Selection, cases_to_export, check_selection
from app.loop.kept_cases import read_case
from app.loop.models import current_model, weights_of
from app.loop.projects import find_project
from app.loop.provenance import provenance_of
from app.store import Database, ModelVersion, Project, Role

_log = structlog.get_logger("sfumato.export")
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class ExportOptions:
    """What goes out, and as what.

    ``format``: a name of the catalogue's writers; ``masks``: which of them; ``source``: the folder
    of the original DICOM series, whose patients are then named in segmentations; ``licence``: for
    the card, an address or words.
    """

    format: str = "decathlon"
    masks: Selection = field(default_factory=Selection)
    source: Path | None = None
    licence: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """For the record of an export: how it was asked for."""
        chosen = {k: v for k, v in asdict(self.masks).items() if v}
        return {"format": self.format, "licence": self.licence} | chosen


@dataclass
class ExportReport:
    """What an export wrote. ``left_out``: cases that could not go out, and why; ``warnings``: by
    case; ``remarks``: of the whole.
    """

    format: str
    cases: int = 0
    masks: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def export_project(
    database: Database,
    name: str,
    folder: Path,
    options: ExportOptions | None = None,
    on_case: Callable[[int, int, str], None] = lambda done, total, case: None,
) -> ExportReport:
    """Write a project's labelled cases into a new folder.

    ``on_case`` is told after each case how many are done, of how many, and its name; what it raises
    ends the export. A case that cannot go out is named in the report, and the others go.
    Raises ``NotFound``, ``InvalidInput`` for wrong options and where there is nothing to export,
    ``VolumeInvalid`` where no case could go out; then nothing is left.
    """
    if folder.exists():
        raise InvalidInput(f"{folder} is there already: name a folder that is not")
    export = Export(database, name, folder, options or ExportOptions())
    try:
        for done, case in enumerate(export.cases(), 1):
            on_case(done, export.total, case)
        export.finish()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return export.report


class Export:
    """One export on its way. What it writes can be taken from ``target`` after each step."""

    def __init__(self, database: Database, name: str, folder: Path, options: ExportOptions) -> None:
        """Raises what ``export_project`` raises, before anything is written."""
        self._database, self._options = database, options
        self._writer: Writer = find_writer(options.format)
        if options.source is not None and self._writer.images:
            raise InvalidInput(
                "--source names the patients of DICOM segmentations: the format "
                f"{options.format} holds none"
            )
        with database.reading() as session:
            self._project = find_project(session, HERE, name, Role.ADMIN)
            check_selection(session, self._project, options.masks)
            self._cases = cases_to_export(session, self._project, options.masks)
            model = current_model(session, self._project.id)
        if not self._cases:
            chosen = "" if options.masks == Selection() else " of those that were asked for"
            raise InvalidInput(f"project {name!r} has no labelled slice{chosen} to export")
        self._model = model
        self.target = Target(folder)
        self.report = ExportReport(format=options.format)
        self._about = self._described(self._project)
        self._out = self._writer.open(self.target, self._about)
        self._card = Card(self.target, self._project, self._about, options.licence)

    @property
    def total(self) -> int:
        """How many cases there are to write."""
        return len(self._cases)

    def cases(self) -> Iterator[str]:
        """Write each case; gives its name when it is written or left out.

        Raises ``VolumeInvalid`` at the end where none could go out.
        """
        for case_id, name in self._cases:
            self._write(case_id, name)
            yield name
        if not self.report.cases:
            reasons = "\n".join(f"  {name}: {why}" for name, why in self.report.left_out.items())
            raise VolumeInvalid(f"none of the cases could be exported:\n{reasons}")

    def finish(self) -> None:
        """Write what describes the whole, the model and the card."""
        self.report.remarks += self._out.close()
        if self._model is not None:
            self._write_model(self._model)
        self._card.finish(self.report.masks, self.report.cases, self.report.left_out)
        path = self.target.path("export-report.json")
        path.write_text(json.dumps(asdict(self.report), indent=1, ensure_ascii=False), "utf-8")

    def _write_model(self, model: ModelVersion) -> None:
        with self._database.reading() as session:
            try:
                weights = weights_of(session, model)
            except LookupError:
                self.report.remarks.append("the model was deleted, or its weights are lost")
                return
        self.target.path(WEIGHTS).write_bytes(weights)
        self.target.path("model.json").write_text(json.dumps(self._about.model, indent=1))

    def _write(self, case_id: int, name: str) -> None:
        report, options = self.report, self._options
        self.target.begin()
        try:
            with self._database.reading() as session:
                kept = read_case(
                    session, self._project, case_id, options.masks, self._writer.images
                )
                rows = provenance_of(session, kept)
            warnings = self._out.add(kept.case)
        except SfumatoError as error:
            self._leave_out(name, str(error))
        except SQLAlchemyError:
            raise
        except MemoryError:
            self._leave_out(name, "it needs more memory than there is: write it as png or coco")
        except Exception as error:  # whatever the libraries of formats raise is one case's matter
            if isinstance(error, OSError) and error.errno is not None:
                raise  # a full disk is everybody's
            # Without the traceback: a library's may show the header of a patient.
            _log.warning("a case could not be exported", case=case_id, error=type(error).__name__)
            self._leave_out(name, f"it could not be written ({type(error).__name__})")
        else:
            self._card.add(rows)
            report.cases += 1
            report.masks += len(rows)
            if not kept.case.labels.labelled:
                warnings = ["no label has been chosen for it: its readings alone go out", *warnings]
            if warnings:
                report.warnings[name] = list(warnings)

    def _leave_out(self, name: str, why: str) -> None:
        self.target.undo()
        self.report.left_out[name] = why

    def _described(self, project: Project) -> About:
        model: dict[str, Any] | None = None
        if self._model is not None:
            model = {
                "file": WEIGHTS,
                "number": self._model.number,
                "architecture": self._model.architecture,
                "scores": without_cases(self._model.scores),
                "seed": self._model.seed,
            }
        return About(
            project=project.name,
            number=project.id,
            classes=tuple(project.classes),
            channels=tuple(project.channels),
            model=model,
            source=self._options.source,
        )
