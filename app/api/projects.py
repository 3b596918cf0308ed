"""Projects and how they fare."""

from functools import partial
from typing import Annotated

from fastapi import BackgroundTasks, Path

from app.api.deleting import Confirm, Deletes
from app.api.dependencies import (
    DEFAULT_LIMIT,
    Admin,
    Cursor,
    Limit,
    Reading,
    SignedIn,
    Workers,
    Writing,
)
from app.api.limits import Router
from app.api.schemas.base import Page, page_of
from app.api.schemas.deletions import DeletionOut
from app.api.schemas.projects import EventOut, ProjectChange, ProjectCreate, ProjectOut
from app.api.schemas.rounds import ProgressOut
from app.core.project_settings import ProjectSettings
from app.loop.audit import list_events
from app.loop.deletions import of_project
from app.loop.progress import progress
from app.loop.projects import (
    create_project,
    find_project,
    list_projects,
)
from app.loop.settings_changes import update_project

router = Router(prefix="/projects", tags=["projects"])
Name = Annotated[str, Path(max_length=200, examples=["glioma"])]


@router.post("", status_code=201)
def create(body: ProjectCreate, session: Writing, admin: Admin) -> ProjectOut:
    """Make a project: its classes by index, and its query and training settings."""
    settings = ProjectSettings.model_validate(body.model_dump(exclude={"name"}))
    return ProjectOut.model_validate(create_project(session, body.name, settings, admin))


@router.get("")
def show_projects(
    session: Reading,
    viewer: SignedIn,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ProjectOut]:
    """All projects."""
    return page_of(ProjectOut, list_projects(session, cursor, limit))


@router.get("/{name}")
def show(name: Name, session: Reading, viewer: SignedIn) -> ProjectOut:
    """One project."""
    return ProjectOut.model_validate(find_project(session, name))


@router.patch("/{name}")
def change(
    name: Name,
    body: ProjectChange,
    session: Writing,
    admin: Admin,
    workers: Workers,
    background: BackgroundTasks,
) -> ProjectOut:
    """Change the strategy, its thresholds, the training: what is named here, from the next
    round on. A retraining that runs ends as it began.
    """
    project = find_project(session, name)
    changed, job = update_project(session, project, body.query, body.training, admin)
    if job is not None:
        background.add_task(workers.wake, [job.queue])
    return ProjectOut.model_validate(changed)


@router.delete("/{name}")
async def delete_project(
    name: Name,
    admin: Admin,
    deletes: Deletes,
    background: BackgroundTasks,
    confirm: Confirm = None,
) -> DeletionOut:
    """Delete a project with its cases, masks and models; its jobs are cancelled first.

    Without `confirm`, the project's name, nothing is deleted: the reply counts what would go. That
    it was deleted, and by whom, is kept at `GET /events`.
    """
    return await deletes(partial(of_project, name=name), admin, confirm, background)


@router.get("/{name}/progress")
def show_progress(name: Name, session: Reading, viewer: SignedIn) -> ProgressOut:
    """The learning curve, the open round, the running job, and how much is labelled."""
    return ProgressOut.model_validate(progress(session, find_project(session, name)))


@router.get("/{name}/events")
def events(
    name: Name,
    session: Reading,
    viewer: Admin,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[EventOut]:
    """The audit trail: who did what when."""
    return page_of(EventOut, list_events(session, find_project(session, name), cursor, limit))
