"""Projects: made once, found by name."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import AlreadyExists, NotFound, ProjectAmbiguous
from app.core.names import checked_name
from app.core.project_settings import ProjectSettings
from app.loop.access import Reader, allow, lock_access, refuse_archived, role_in, visible
from app.loop.audit import record
from app.loop.capabilities import check_names
from app.loop.joining import join_everybody
from app.loop.paging import Page, paginate
from app.store import Account, Project, Role


def create_project(
    session: Session, name: str, settings: ProjectSettings, by: Account | None = None
) -> Project:
    """A new project. Raises ``AlreadyExists`` when the name is taken."""
    lock_access(session)
    check_free(session, name)
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


def check_free(session: Session, name: str) -> None:
    """Raise ``InvalidInput`` for what can name no project, ``AlreadyExists`` for what names one.

    Under ``lock_access``, so that two do not take one name.
    """
    checked_name("project", name, longest=64)
    taken = session.scalar(select(Project).where(Project.name == name))
    if taken is not None:
        archived = " (archived)" if taken.archived_at is not None else ""
        raise AlreadyExists(f"there is a project {name!r} already{archived}: choose another name")


def find_project(session: Session, reader: Reader, name: str | None, role: Role) -> Project:
    """The project of that name, or the reader's only one, in which their role includes ``role``.

    One that is not archived counts before those that are. Raises ``NotFound``, ``NotAllowed``,
    ``ProjectAmbiguous``, ``ProjectArchived``.
    """
    if name is not None:
        missing = f"there is no project {name[:140]!r}: ask for the list of projects"
        project = session.scalar(select(Project).where(Project.name == name))
        if project is None:
            raise NotFound(_renamed(session, reader, name) or missing)
        allow(session, reader, project.id, role, missing)
        return project
    theirs = select(Project).where(visible(reader)).order_by(Project.id).limit(2)
    going_on = theirs.where(Project.archived_at.is_(None))
    projects = session.scalars(going_on).all() or session.scalars(theirs).all()
    if not projects:
        raise NotFound("there is no project yet: an admin makes one, or adds you to theirs")
    if len(projects) > 1:
        raise ProjectAmbiguous("there are several projects: name one with ?project=NAME")
    allow(session, reader, projects[0].id, role, "there is no project")
    return projects[0]


def _renamed(session: Session, reader: Reader, name: str) -> str | None:
    """What to say of a name that a project of the reader's had before: bookmarks keep it."""
    theirs = select(Project.name, Project.former_names).where(visible(reader))
    for now, former in session.execute(theirs.order_by(Project.id.desc())):
        if name in former:
            return f"there is no project {name!r} any more: it is called {now!r} now"
    return None


def lock_project(session: Session, project_id: int, even_archived: bool = False) -> None:
    """Hold a project's loop until the transaction ends.

    Its row is the one lock on its rounds: whoever hands out, answers or replaces a batch or
    asks for a retraining holds it, so that two annotators never get one slice, the last answer
    is never missed, and nobody waits for two locks in different orders. Raises ``NotFound`` when
    the project was deleted meanwhile, and ``ProjectArchived`` when it was archived, unless that
    does not matter for what is done.
    """
    # NO KEY UPDATE: rows that refer to the project can still be inserted meanwhile.
    held = select(Project.name, Project.archived_at).where(Project.id == project_id)
    found = session.execute(held.with_for_update(key_share=True)).one_or_none()
    if found is None:
        raise NotFound("the project was deleted meanwhile: ask for the list of projects")
    if not even_archived:
        refuse_archived(found.name, found.archived_at)


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
    archived_at: datetime | None
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
        archived_at=project.archived_at,
        role=role_in(session, reader, project.id) or Role.VIEWER,
    )


def list_projects(
    session: Session, reader: Reader, cursor: int | None, limit: int, archived: bool = False
) -> Page[ProjectView]:
    """A page of the projects that a reader may see; ``archived``: also those that are."""
    theirs = select(Project).where(visible(reader))
    if not archived:
        theirs = theirs.where(Project.archived_at.is_(None))

    def view(project: Project) -> ProjectView:
        return project_view(session, reader, project)

    return paginate(session, theirs, Project.id, cursor, limit, view)
