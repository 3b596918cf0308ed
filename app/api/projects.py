"""Projects and how they fare."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Path, Query, Request

from app.api.deleting import Confirm, Deletes
from app.api.dependencies import (
    DEFAULT_LIMIT,
    CurrentDatabase,
    Cursor,
    EvenArchived,
    InstallationAdmin,
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
from app.api.uploads import in_turn
from app.core.derived import Answers
from app.core.project_settings import ProjectSettings
from app.loop.audit import list_events
from app.loop.deletions import of_project
from app.loop.foreseen import before_rules
from app.loop.life_cycle import Change, change_project
from app.loop.progress import progress
from app.loop.projects import (
    create_project,
    find_project,
    list_projects,
    project_view,
)
from app.loop.readings import use_answers
from app.store import Role

router = Router(prefix="/projects", tags=["projects"])
Newest = Annotated[bool, Query(description="The newest first.")]
Name = Annotated[str, Path(max_length=200, examples=["glioma"])]


@router.post("", status_code=201)
def create(body: ProjectCreate, session: Writing, admin: InstallationAdmin) -> ProjectOut:
    """Make a project: its classes by index, and its query and training settings."""
    settings = ProjectSettings.model_validate(body.model_dump(exclude={"name"}))
    project = create_project(session, body.name, settings, admin.account)
    return ProjectOut.model_validate(project_view(session, admin, project))


@router.get("")
def show_projects(
    session: Reading,
    viewer: SignedIn,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
    archived: Annotated[bool, Query(description="Also those that are archived.")] = False,
) -> Page[ProjectOut]:
    """The projects that the reader belongs to; an admin of the installation sees all."""
    return page_of(ProjectOut, list_projects(session, viewer, cursor, limit, archived))


@router.get("/{name}")
def show(name: Name, session: Reading, viewer: SignedIn) -> ProjectOut:
    """One project."""
    project = find_project(session, viewer, name, Role.VIEWER)
    return ProjectOut.model_validate(project_view(session, viewer, project))


@dataclass(frozen=True)
class _Asked:
    """What is to be changed, and what follows from it."""

    change: ProjectChange
    answers: Answers


async def _asked(
    name: Name,
    body: ProjectChange,
    admin: EvenArchived,
    database: CurrentDatabase,
    request: Request,
) -> _Asked:
    def foreseen() -> Answers:
        with database.reading() as session:
            project = find_project(session, admin, name, Role.ADMIN)
        return before_rules(database, project, body.query)

    return _Asked(body, await in_turn(request, foreseen))


@router.patch("/{name}")
def change(
    name: Name,
    asked: Annotated[_Asked, Depends(_asked)],
    session: Writing,
    admin: EvenArchived,
    workers: Workers,
    background: BackgroundTasks,
) -> ProjectOut:
    """Change what is named here: the strategy, its thresholds, the training, from the next round
    on; the name, which is free for others at once; whether it is archived, which is read alone.

    A retraining that runs ends as it began; archiving cancels it.
    """
    project = find_project(session, admin, name, Role.ADMIN)
    use_answers(session, asked.answers)
    wanted = asked.change
    change = Change(wanted.query, wanted.training, wanted.name, wanted.archived)
    for job in change_project(session, project, change, admin.account):
        background.add_task(workers.wake, [job.queue])
    return ProjectOut.model_validate(project_view(session, admin, project))


@router.delete("/{name}")
async def delete_project(
    name: Name,
    admin: EvenArchived,
    deletes: Deletes,
    background: BackgroundTasks,
    confirm: Confirm = None,
) -> DeletionOut:
    """Delete a project with its cases, masks and models; its jobs are cancelled first.

    Without `confirm`, the project's name, nothing is deleted: the reply counts what would go. That
    it was deleted, and by whom, is kept at `GET /events`.
    """
    return await deletes(partial(of_project, reader=admin, name=name), admin, confirm, background)


@router.get("/{name}/progress")
def show_progress(name: Name, session: Reading, viewer: SignedIn) -> ProgressOut:
    """The learning curve, the open round, the running job, and how much is labelled."""
    project = find_project(session, viewer, name, Role.VIEWER)
    return ProgressOut.model_validate(progress(session, project))


@router.get("/{name}/events")
def events(
    name: Name,
    session: Reading,
    viewer: SignedIn,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
    newest: Newest = False,
) -> Page[EventOut]:
    """The audit trail: who did what when."""
    project = find_project(session, viewer, name, Role.ADMIN)
    return page_of(EventOut, list_events(session, project, cursor, limit, newest))
