"""What a database says of itself: its size, its clock. The same on every engine."""

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

_SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


def size_bytes(session: Session) -> int:
    """What the database takes on its disk, in bytes; SQLite's log is not counted."""
    return int(session.scalar(text(_SIZE[session.get_bind().dialect.name])) or 0)


def clock(session: Session) -> datetime:
    """The present by the database's own clock; SQLite has none but this machine's."""
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now.astimezone(UTC)
