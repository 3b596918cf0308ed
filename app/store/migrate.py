"""Bringing a database to the present schema, or an empty one to an older."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.core.errors import SchemaTooOld
from app.store.session import Database

# Any constant will do: it names the lock under which one process at a time migrates.
_POSTGRES_LOCK = 5_386_026
EMPTY = "base"


def config() -> Config:
    """Alembic's configuration for the migrations that ship with the package."""
    alembic = Config()
    alembic.set_main_option("script_location", str(files("migrations")))
    alembic.set_main_option("path_separator", "os")
    return alembic


def migrate(database: Database) -> None:
    """Apply what is missing. Several servers that start at once wait for the first."""
    with changing_schema(database) as connection:
        to_schema(connection, newest_schema())


@contextmanager
def changing_schema(database: Database) -> Iterator[Connection]:
    """One transaction in which the schema may change, one at a time; all of it or nothing.

    SQLite enforces no references within it.
    """
    engine = database.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # Before the transaction begins, else it has no effect: a table is made anew by
            # dropping it, and what refers to it must not mind.
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    lock = text("SELECT pg_advisory_xact_lock(:key)")
                    connection.execute(lock, {"key": _POSTGRES_LOCK})
                yield connection
        finally:
            if connection.dialect.name == "sqlite":
                # The next to use it would not enforce references either.
                connection.invalidate()


def to_schema(connection: Connection, wanted: str) -> None:
    """Apply or undo what lies between the present schema and the wanted, or ``EMPTY``."""
    alembic = config()
    alembic.attributes["connection"] = connection
    if wanted == EMPTY:
        command.downgrade(alembic, EMPTY)
    else:
        command.upgrade(alembic, wanted)


def schema_of(connection: Connection) -> str | None:
    """The schema that a database has; None when it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def check_schema(database: Database) -> None:
    """Raise ``SchemaTooOld`` where the database is not yet as this program needs it.

    A newer one is fine: from 0016 on, migrations only add what older programs do not ask for
    (docs/deploy.md), so that old and new run side by side while servers are changed one by one.
    """
    with database.engine.connect() as connection:
        have = schema_of(connection)
    if have != newest_schema() and (have is None or have in known_schemas()):
        raise SchemaTooOld(
            f"the database has {f'schema {have}' if have else 'no schema'}, and this version needs "
            f"{newest_schema()}: make a backup, then run `sfumato migrate`"
        )


def newest_schema() -> str:
    """The schema of this program."""
    return ScriptDirectory.from_config(config()).get_current_head() or EMPTY


def known_schemas() -> set[str]:
    """Every schema that this program can bring to the newest."""
    scripts = ScriptDirectory.from_config(config())
    return {script.revision for script in scripts.walk_revisions()}
