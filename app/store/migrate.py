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
    engine = database.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # Before the transaction begins, else it has no effect: a table is made anew by
            # dropping it, and what refers to it must not mind.
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            if connection.dialect.name == "postgresql":
                lock = text("SELECT pg_advisory_xact_lock(:key)")
                connection.execute(lock, {"key": _POSTGRES_LOCK})
            alembic.attributes["connection"] = connection
            command.upgrade(alembic, "head")
        if connection.dialect.name == "sqlite":
            # The next to use it would not enforce references either.
            connection.invalidate()
