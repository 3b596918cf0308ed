"""Projects: made once, found by name."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import AlreadyExists, NotFound, ProjectAmbiguous
from app.core.names import checked_name
from app.core.project_settings import ProjectSettings
from app.loop.access import Reader, allow, lock_access, visible
from app.loop.audit import record
from app.loop.capabilities import check_names
from app.loop.joining import join_everybody
from app.loop.paging import Page, paginate
from app.store import Account, Project, Role


def create_project(
    session: Session, name: str, settings: ProjectSettings, by: Account | None = None
) -> Project:
    """A new project. Raises ``AlreadyExists`` when the name is taken."""
    checked_name("project", name, longest=64)
    lock_access(session)
    if session.scalar(select(Project.id).where(Project.name == name)) is not None:
        raise AlreadyExists(f"there is a project {name!r} already: choose another name")
    check_names(session, settings)
    project = Project(
        name=name,
        classes=settings.classes,
        channels=settings.channels,
        query=settings.query.model_dump(),
        training=settings.training.model_dump(),
    )
    session.add(project)
    session.flush()
    join_everybody(session, project)
    record(session, "project.create", by, project.id, **settings.model_dump())
    return project


def find_project(session: Session, reader: Reader, name: str | None, role: Role) -> Project:
    """The project of that name, or the reader's only one, in which their role includes ``role``.

    Raises ``NotFound``, ``NotAllowed``, ``ProjectAmbiguous``.
    """
    if name is not None:
        missing = f"there is no project {name[:140]!r}: ask for the list of projects"
        project = session.scalar(select(Project).where(Project.name == name))
        if project is None:
            raise NotFound(missing)
        allow(session, reader, project.id, role, missing)
        return project
    theirs = select(Project).where(visible(reader)).order_by(Project.id).limit(2)
    projects = session.scalars(theirs).all()
    if not projects:
        raise NotFound("there is no project yet: an admin makes one, or adds you to theirs")
    if len(projects) > 1:
        raise ProjectAmbiguous("there are several projects: name one with ?project=NAME")
    allow(session, reader, projects[0].id, role, "there is no project")
    return projects[0]


def lock_project(session: Session, project_id: int) -> None:
    """Hold a project's loop until the transaction ends.

    Its row is the one lock on its rounds: whoever hands out, answers or replaces a batch or
    asks for a retraining holds it, so that two annotators never get one slice, the last answer
    is never missed, and nobody waits for two locks in different orders. Raises ``NotFound`` when
    the project was deleted meanwhile.
    """
    # NO KEY UPDATE: rows that refer to the project can still be inserted meanwhile.
    held = select(Project.id).where(Project.id == project_id).with_for_update(key_share=True)
    if session.scalar(held) is None:
        raise NotFound("the project was deleted meanwhile: ask for the list of projects")


@dataclass(frozen=True)
class ProjectView:
    """A project as a reader is shown it: with the role that they have in it."""

    id: int
    name: str
    classes: list[str]
    channels: list[str]
    query: dict[str, Any]
    training: dict[str, Any]
    created_at: datetime
    role: Role


def project_view(session: Session, reader: Reader, project: Project) -> ProjectView:
    """A project as a reader is shown it."""
    return ProjectView(
        id=project.id,
        name=project.name,
        classes=project.classes,
        channels=project.channels,
        query=project.query,
        training=project.training,
        created_at=project.created_at,
        role=allow(session, reader, project.id, Role.VIEWER, "there is no such project"),
    )


def list_projects(
    session: Session, reader: Reader, cursor: int | None, limit: int
) -> Page[ProjectView]:
    """A page of the projects that a reader may see."""
    theirs = select(Project).where(visible(reader))

    def view(project: Project) -> ProjectView:
        return project_view(session, reader, project)

    return paginate(session, theirs, Project.id, cursor, limit, view)
