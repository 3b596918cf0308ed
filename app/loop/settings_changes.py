"""A project's settings, changed while its loop runs."""

from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.core.errors import InvalidInput
from app.core.project_settings import ProjectSettings, in_words, settings_of
from app.loop.audit import record
from app.loop.capabilities import check_names
from app.loop.labels import elect_all
from app.loop.projects import lock_project
from app.loop.retraining import retrain_if_due
from app.store import Account, Job, Project


def update_project(
    session: Session,
    project: Project,
    query: dict[str, Any],
    training: dict[str, Any],
    by: Account | None,
) -> tuple[Project, Job | None]:
    """Change some settings. A round that is open keeps its own; the next follows these.

    What decides which masks train holds at once. Returns the project, and the retraining that
    the change made due. Raises ``InvalidInput``.
    """
    lock_project(session, project.id)
    before = settings_of(project)
    try:
        changed = ProjectSettings.model_validate(
            {
                "classes": project.classes,
                "channels": project.channels,
                "query": {**project.query, **query},
                "training": {**project.training, **training},
            }
        )
    except ValidationError as error:
        raise InvalidInput(f"these settings cannot be used: {in_words(error)}") from error
    check_names(session, changed, before)
    project.query = changed.query.model_dump()
    project.training = changed.training.model_dump()
    session.flush()
    if before.query.labels_by != changed.query.labels_by:
        elect_all(session, project)
    record(session, "project.update", by, project.id, query=query, training=training)
    # Rules that ask for more readers may open what had come to its end.
    return project, retrain_if_due(session, project)
