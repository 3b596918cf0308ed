"""The audit trail: who did what when. It is only added to."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from app.core.caller import present
from app.loop.paging import Page, paginate
from app.store import Account, Event, Project


def record(
    session: Session,
    action: str,
    account: Account | None,
    project_id: int | None = None,
    **detail: Any,
) -> None:
    """Add a line to the audit trail; what a thread does for somebody is in their name."""
    caller = present()
    session.add(
        Event(
            action=action,
            account_id=account.id if account else caller.account,
            project_id=project_id,
            detail=detail,
            address=caller.address,
        )
    )


def list_events(
    session: Session, project: Project | None, cursor: int | None, limit: int, newest: bool = False
) -> Page[Event]:
    """A page of the project's audit trail; without a project, of what belongs to none."""
    project_id = project.id if project else None
    query = (
        select(Event)
        .options(joinedload(Event.account))
        .where(Event.project_id.is_not_distinct_from(project_id))
    )
    return paginate(session, query, Event.id, cursor, limit, lambda event: event, newest)


def all_events(session: Session) -> Iterator[tuple[Event, str | None, str | None]]:
    """Every entry, oldest first, with the names of its project and of who did it."""
    rows = session.execute(
        select(Event, Project.name, Account.name)
        .outerjoin(Project, Project.id == Event.project_id)
        .outerjoin(Account, Account.id == Event.account_id)
        .order_by(Event.id)
        .execution_options(yield_per=500)
    )
    for row in rows:
        yield row[0], row[1], row[2]
