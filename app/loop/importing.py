"""A data set on its way into the store: a case at a time, so that it can stop and go on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import SfumatoError, VolumeInvalid
from app.core.pixels import Pixels
from app.core.splits import Split
from app.loop.ingest import add_imported_mask, add_slice, add_truth, ensure_case
from app.store import Case, Database, Project

Masks = Literal["pool", "oracle"]


class _Volume(Protocol):
    @property
    def image(self) -> Pixels: ...
    @property
    def classes(self) -> Pixels | None: ...
    @property
    def source(self) -> dict[str, Any]: ...


class _CaseFiles(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def read(self) -> Callable[[], _Volume]: ...


@dataclass
class ImportReport:
    """What an import did; ``refused`` names each case that could not be taken, and why."""

    cases: int = 0
    new_slices: int = 0
    known_slices: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def import_cases(
    database: Database,
    project: Project,
    cases: Iterable[_CaseFiles],
    splits: dict[str, Split],
    masks: Masks | None,
    merge: bool,
    on_case: Callable[[str], None] = lambda name: None,
) -> ImportReport:
    """Take in each case in a transaction of its own.

    An import that was interrupted goes on where it stopped when it is run again: cases and
    slices that are there are recognised. A case that cannot be read is named in the report and
    leaves nothing behind; the others are taken. ``masks``: ``oracle`` hides the pool's masks
    for the simulated annotators, ``pool`` makes them labels; validation and test masks are
    labels in both. ``merge`` makes one foreground class of all.
    """
    report = ImportReport()
    for files in cases:
        on_case(files.name)
        try:
            volume = files.read()
            classes = _checked_classes(volume, project, masks, merge, files.name)
            with database.writing() as session:
                _import_case(session, project, files.name, volume, classes, splits, masks, report)
        except SfumatoError as error:
            report.refused[files.name] = str(error)
        else:
            report.cases += 1
    return report


def _import_case(
    session: Session,
    project: Project,
    name: str,
    volume: _Volume,
    classes: Pixels | None,
    splits: dict[str, Split],
    masks: Masks | None,
    report: ImportReport,
) -> None:
    known = session.scalar(select(Case).where(Case.project_id == project.id, Case.name == name))
    case = known or ensure_case(session, project, name, splits[name], volume.source)
    first = int(volume.source.get("first_index", 0))
    new = 0
    for offset, pixels in enumerate(volume.image):
        slice_, created = add_slice(session, case, first + offset, pixels)
        new += created
        if classes is None:
            continue
        if masks == "oracle" and case.split is Split.POOL:
            add_truth(session, slice_, classes[offset])
        else:
            add_imported_mask(session, slice_, classes[offset])
    report.new_slices += new
    report.known_slices += len(volume.image) - new


def _checked_classes(
    volume: _Volume, project: Project, masks: Masks | None, merge: bool, name: str
) -> Pixels | None:
    if masks is None:
        return None
    if volume.classes is None:
        raise VolumeInvalid(f"case {name!r} has an image but no label")
    classes = (volume.classes > 0).astype(np.uint8) if merge else volume.classes
    if classes.max() >= len(project.classes):
        raise VolumeInvalid(
            f"the labels of case {name!r} go up to {classes.max()}, but {project.name!r} has only "
            f"the classes {', '.join(project.classes)}: merge them with --merge-labels, "
            "or use a project with more classes"
        )
    return classes
