"""Bringing a database to the present schema."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from app.store.session import Database

# Any constant will do: it names the lock under which one process at a time migrates.
_POSTGRES_LOCK = 5_386_026


def config() -> Config:
    """Alembic's configuration for the migrations that ship with the package."""
    alembic = Config()
    alembic.set_main_option("script_location", str(files("migrations")))
    alembic.set_main_option("path_separator", "os")
    return alembic


def migrate(database: Database) -> None:
    """Apply what is missing. Several servers that start at once wait for the first."""
    alembic = config()
    with database.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "head")
