"""What the deletion of a slice, a case or a project would take away."""

from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.core.errors import NotFound
from app.loop import traces
from app.loop.access import Reader
from app.loop.projects import find_project
from app.loop.slices import find_slice
from app.store import Case, Event, Job, Mask, ModelVersion, Role, Slice, blobs

Kind = Literal["slice", "case", "project"]


@dataclass(frozen=True)
class LearnedModel:
    """A model that was trained on masks that go."""

    id: int
    number: int


@dataclass
class Deletion:
    """What is deleted, or would be.

    ``confirm`` is the name that carries it out; ``counts``: rows by their table's name; ``bytes``:
    of pixels, masks and weights that nothing else uses; ``models`` learned from it and stay;
    ``jobs``: retrainings that are cancelled, or begun again without what goes.
    """

    kind: Kind
    confirm: str
    project_id: int
    slices: Select[Any]
    case_id: int | None = None
    about: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    models: list[LearnedModel] = field(default_factory=list)
    jobs: list[int] = field(default_factory=list)
    queues: set[str] = field(default_factory=set)
    masks: set[int] = field(default_factory=set)
    in_hand: set[str] = field(default_factory=set)
    emptied: bool = False


def of_slice(session: Session, reader: Reader, slice_id: int) -> Deletion:
    """The deletion of one slice; the last of a case takes the case with it.

    Raises ``NotFound``, ``NotAllowed``, as all of these.
    """
    slice_ = find_slice(session, reader, slice_id, Role.ADMIN)
    case = session.get_one(Case, slice_.case_id)
    return _planned(
        session,
        Deletion(
            kind="slice",
            confirm=f"{case.name}/{slice_.index}",
            project_id=slice_.project_id,
            slices=select(Slice.id).where(Slice.id == slice_id),
            case_id=case.id,
            about={"case": case.name, "index": slice_.index, "slice": slice_id},
        ),
    )


def of_case(session: Session, reader: Reader, project_name: str, name: str) -> Deletion:
    """The deletion of a case with all of its slices."""
    project = find_project(session, reader, project_name, Role.ADMIN)
    case = session.scalar(select(Case).where(Case.project_id == project.id, Case.name == name))
    if case is None:
        raise NotFound(f"project {project.name!r} has no case {name[:140]!r}")
    return _planned(
        session,
        Deletion(
            kind="case",
            confirm=case.name,
            project_id=project.id,
            slices=select(Slice.id).where(Slice.case_id == case.id),
            case_id=case.id,
            about={"case": case.name},
        ),
    )


def of_project(session: Session, reader: Reader, name: str) -> Deletion:
    """The deletion of a project with all that is in it."""
    project = find_project(session, reader, name, Role.ADMIN)
    return _planned(
        session,
        Deletion(
            kind="project",
            confirm=project.name,
            project_id=project.id,
            slices=select(Slice.id).where(Slice.project_id == project.id),
            about={"project": project.name},
        ),
    )


def _planned(session: Session, planned: Deletion) -> Deletion:
    counts = traces.count_rows(session, planned.slices)
    names = traces.only_of(session, planned.slices)
    of_slices = select(Mask.id).where(Mask.slice_id.in_(planned.slices))
    planned.masks = set(session.scalars(of_slices))
    if planned.kind == "project":
        for column in (
            *traces.OF_PROJECTS,
            *traces.OF_ACCESS,
            ModelVersion.project_id,
            Job.project_id,
        ):
            of_project = column == planned.project_id
            counts[column.class_.__tablename__] = traces.count(session, column.class_, of_project)
        counts["events"] = traces.count(
            session, Event, traces.entries_of_project(planned.project_id)
        )
        names |= _weights_only_of(session, planned.project_id)
    else:
        counts["cases"] = int(case_goes(session, planned))
        concerned = traces.entries_of(planned.project_id, planned.slices, of_slices)
        counts["events"] = traces.count(session, Event, concerned)
        planned.models = learned_from(session, planned)
    planned.counts = {**counts, "blobs": len(names)}
    planned.bytes = blobs.bytes_of(session, names)
    return planned


def case_goes(session: Session, planned: Deletion) -> bool:
    """Whether the case has no slices but those that go."""
    stays = select(Slice.id).where(
        Slice.case_id == planned.case_id, Slice.id.not_in(planned.slices)
    )
    return session.scalar(stays.limit(1)) is None


def _weights_only_of(session: Session, project_id: int) -> set[str]:
    theirs = select(ModelVersion.weights_sha256)
    names = set(session.scalars(theirs.where(ModelVersion.project_id == project_id)))
    return names - set(session.scalars(theirs.where(ModelVersion.project_id != project_id)))


def learned_from(session: Session, planned: Deletion) -> list[LearnedModel]:
    """The models that were trained on masks that go; what they learned from stays noted."""
    rows = session.execute(
        select(ModelVersion.id, ModelVersion.number, ModelVersion.mask_ids)
        .where(ModelVersion.project_id == planned.project_id)
        .order_by(ModelVersion.number)
    )
    return [LearnedModel(id_, number) for id_, number, ids in rows if planned.masks & set(ids)]
