"""Projects and how they fare."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Admin,
    Annotator,
    Cursor,
    Limit,
    Reading,
    Writing,
)
from app.api.schemas import (
    EventOut,
    Page,
    ProgressOut,
    ProjectChange,
    ProjectCreate,
    ProjectOut,
    as_page,
)
from app.core import catalogue
from app.core.project_settings import ProjectSettings
from app.loop.progress import list_events, progress
from app.loop.projects import (
    create_project,
    find_project,
    list_projects,
    update_project,
)
from app.store import Project

router = APIRouter(prefix="/projects", tags=["projects"])
strategies = APIRouter(tags=["projects"])
Name = Annotated[str, Path(max_length=200, examples=["glioma"])]


@router.post("", status_code=201, response_model=ProjectOut)
def create(body: ProjectCreate, session: Writing, admin: Admin) -> Project:
    """Make a project: its classes by index, and its query and training settings."""
    settings = ProjectSettings.model_validate(body.model_dump(exclude={"name"}))
    return create_project(session, body.name, settings, admin)


@router.get("", response_model=Page[ProjectOut])
def show_projects(
    session: Reading,
    reader: Annotator,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Any:
    """All projects."""
    return as_page(list_projects(session, cursor, limit))


@router.get("/{name}", response_model=ProjectOut)
def show(name: Name, session: Reading, reader: Annotator) -> Project:
    """One project."""
    return find_project(session, name)


@router.patch("/{name}", response_model=ProjectOut)
def change(name: Name, body: ProjectChange, session: Writing, admin: Admin) -> Project:
    """Change the strategy, its thresholds, the training: what is named here, from the next
    round on. A retraining that runs ends as it began.
    """
    return update_project(session, find_project(session, name), body.query, body.training, admin)


@router.get("/{name}/progress", response_model=ProgressOut)
def show_progress(name: Name, session: Reading, reader: Annotator) -> dict[str, Any]:
    """The learning curve, the open round, the running job, and how much is labelled."""
    return progress(session, find_project(session, name))


@router.get("/{name}/events", response_model=Page[EventOut])
def events(
    name: Name,
    session: Reading,
    reader: Admin,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Any:
    """The audit trail: who did what when."""
    return as_page(list_events(session, find_project(session, name), cursor, limit))


@strategies.get("/strategies")
def list_strategies(reader: Annotator) -> list[str]:
    """The query strategies that a project may use, those of installed packages included."""
    return list(catalogue.names("strategy"))
