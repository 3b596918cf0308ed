"""The audit trail: who did what when. It is only added to."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.loop.paging import Page, paginate
from app.store import Account, Event, Project


def record(
    session: Session,
    action: str,
    account: Account | None,
    project_id: int | None = None,
    **detail: Any,
) -> None:
    """Add a line to the audit trail."""
    account_id = account.id if account else None
    session.add(Event(action=action, account_id=account_id, project_id=project_id, detail=detail))


def list_events(
    session: Session, project: Project | None, cursor: int | None, limit: int
) -> Page[Event]:
    """A page of the project's audit trail; without a project, of what belongs to none."""
    project_id = project.id if project else None
    query = select(Event).where(Event.project_id.is_not_distinct_from(project_id))
    return paginate(session, query, Event.id, cursor, limit, lambda event: event)
