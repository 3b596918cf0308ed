"""What health checks ask: does the database answer."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.store import Project


def check_ready(session: Session) -> None:
    """Read from a table of ours; raises the database's error when that cannot be done."""
    session.execute(select(Project.id).limit(1)).all()
