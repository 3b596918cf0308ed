"""What a database says of itself: its size, its clock, its schema. The same on every engine."""

from datetime import UTC, datetime

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from app.store.migrate import config

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


def revision(connection: Connection) -> str | None:
    """The revision of the schema that the database has; None where it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def known_revisions() -> list[str]:
    """Every revision that this version of Sfumato knows, the newest first."""
    return [one.revision for one in ScriptDirectory.from_config(config()).walk_revisions()]
