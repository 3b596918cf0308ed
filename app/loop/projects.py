"""Projects: made once, found by name."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import AlreadyExists, NotFound, ProjectAmbiguous
from app.core.names import checked_name
from app.core.project_settings import ProjectSettings
from app.loop.audit import record
from app.loop.capabilities import check_names
from app.loop.paging import Page, paginate
from app.store import Account, Project


def create_project(
    session: Session, name: str, settings: ProjectSettings, by: Account | None = None
) -> Project:
    """A new project. Raises ``AlreadyExists`` when the name is taken."""
    checked_name("project", name, longest=64)
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
    record(session, "project.create", by, project.id, **settings.model_dump())
    return project


def find_project(session: Session, name: str | None) -> Project:
    """The project of that name, or the only one. Raises ``NotFound``, ``ProjectAmbiguous``."""
    if name is not None:
        project = session.scalar(select(Project).where(Project.name == name))
        if project is None:
            raise NotFound(f"there is no project {name[:140]!r}: ask for the list of projects")
        return project
    projects = session.scalars(select(Project).order_by(Project.id).limit(2)).all()
    if not projects:
        raise NotFound("there is no project yet: an admin makes one")
    if len(projects) > 1:
        raise ProjectAmbiguous("there are several projects: name one with ?project=NAME")
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


def list_projects(session: Session, cursor: int | None, limit: int) -> Page[Project]:
    """A page of all projects."""
    return paginate(session, select(Project), Project.id, cursor, limit, lambda p: p)
