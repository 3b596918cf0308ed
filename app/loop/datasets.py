"""Data sets on their way in and out: a case at a time, so that it can stop and go on."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import SfumatoError, VolumeInvalid
from app.core.pixels import Pixels
from app.core.splits import Split
from app.formats.case import CaseVolume
from app.formats.layout import CaseFiles
from app.loop.masks import PreparedMask, add_imported_mask, prepare_mask
from app.loop.projects import lock_project
from app.loop.retraining import retrain_if_due
from app.loop.slices import PreparedImage, add_slice, ensure_case, prepare_image
from app.loop.truths import add_truth
from app.store import Case, Database, Project

Masks = Literal["pool", "oracle"]


@dataclass
class ImportReport:
    """What an import did.

    ``refused`` names each case that could not be taken, and why; ``warnings`` what of a case is
    not exactly as in its files. ``retraining``: the queues to wake for what has become due.
    """

    cases: int = 0
    new_slices: int = 0
    known_slices: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    retraining: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Prepared:
    """One slice of a case, encoded."""

    index: int
    images: dict[int, PreparedImage]
    mask: PreparedMask | None


def import_cases(
    database: Database,
    open_project: Callable[[], Project],
    cases: Iterable[CaseFiles],
    splits: dict[str, Split],
    masks: Masks | None,
    merge: bool,
    channels: Sequence[int] = (0,),
    on_case: Callable[[str], None] = lambda name: None,
) -> ImportReport:
    """Take in each case in a transaction of its own, after it was read and encoded.

    ``open_project`` is asked for the project once a case could be read: a folder of which nothing
    can be read makes none.

    An import that was interrupted goes on where it stopped when it is run again: cases and
    slices that are there are recognised. A case that cannot be read is named in the report and
    leaves nothing behind; the others are taken. ``masks``: ``oracle`` hides the pool's masks
    for the simulated annotators, ``pool`` makes them labels; validation and test masks are
    labels in both. ``merge`` makes one foreground class of all. ``channels``: which of a case's
    channels is each of the project's.
    """
    report = ImportReport()
    for files in cases:
        on_case(files.name)
        try:
            volume = files.read()
            _check_channels(volume, channels, files.name)
            volume = replace(volume, channels=tuple(volume.channels[n] for n in channels))
            project = open_project()
            classes = _checked_classes(volume, project, masks, merge, files.name)
            prepared = [_prepared(volume, classes, n) for n in range(volume.depth)]
            with database.writing() as session:
                # The order of locks is the same everywhere: the project first.
                lock_project(session, project.id)
                _keep_case(session, project, files.name, volume, prepared, splits, masks, report)
        except SfumatoError as error:
            report.refused[files.name] = str(error)
        else:
            report.cases += 1
            if volume.warnings:
                report.warnings[files.name] = list(volume.warnings)
    return report


def _prepared(volume: CaseVolume, classes: Pixels | None, slice_: int) -> _Prepared:
    return _Prepared(
        index=volume.index_of(slice_),
        images={
            number: prepare_image(channel.pixels[slice_], channel.rescale_of(slice_))
            for number, channel in enumerate(volume.channels)
        },
        mask=None if classes is None else prepare_mask(classes[slice_]),
    )


def _keep_case(
    session: Session,
    project: Project,
    name: str,
    volume: CaseVolume,
    prepared: list[_Prepared],
    splits: dict[str, Split],
    masks: Masks | None,
    report: ImportReport,
) -> None:
    known = session.scalar(select(Case).where(Case.project_id == project.id, Case.name == name))
    case = known or ensure_case(
        session, project, name, splits[name], volume.geometry, volume.source
    )
    if case.affine is None and volume.geometry is not None:
        # It came in with a version that did not ask its file, or slice by slice.
        case.affine, case.source = volume.geometry.to_list(), volume.source
    new = 0
    for one in prepared:
        added = add_slice(session, case, one.index, one.images, len(project.channels))
        new += added.created
        if one.mask is None:
            continue
        if masks == "oracle" and case.split is Split.POOL:
            add_truth(session, added.slice, one.mask)
        else:
            add_imported_mask(session, added.slice, one.mask)
    job = retrain_if_due(session, session.get_one(Project, project.id)) if new else None
    if job is not None:
        report.retraining.add(job.queue)
    report.new_slices += new
    report.known_slices += len(prepared) - new


def _check_channels(volume: CaseVolume, channels: Sequence[int], name: str) -> None:
    if len(volume.channels) != len(channels):
        raise VolumeInvalid(
            f"case {name!r} has {len(volume.channels)} channels where {len(channels)} are wanted: "
            "name them with --channel, or leave the case out"
        )


def _checked_classes(
    volume: CaseVolume, project: Project, masks: Masks | None, merge: bool, name: str
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
