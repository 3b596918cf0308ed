"""The database: there, writable, of this version's schema, patient enough, with the same clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import make_url, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.doctor.finding import Finding, first_line, ok, warning, wrong
from app.doctor.folder import network_file_system
from app.settings import Settings
from app.store import Database, Project, facts, utc_now
from app.store.migrate import known_schemas, newest_schema, schema_of

ABOUT = "database"
_GIB = 1024**3
# A worker keeps a transaction open, to read, for as long as it scores.
_SHORTEST_READ = timedelta(minutes=10)
_CONNECT_SECONDS = "5"


@contextmanager
def looked_at(settings: Settings) -> Iterator[Database]:
    """The database as it is: neither made nor brought to another schema."""
    url = make_url(settings.effective_database_url)
    if url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": _CONNECT_SECONDS})
    database = Database(url.render_as_string(hide_password=False), settings.lock_timeout_seconds)
    try:
        yield database
    finally:
        database.dispose()


def absent(settings: Settings) -> Finding | None:
    """The one line to say where there is no database, or none that answers."""
    try:
        path = sqlite_file(settings)
        if path is not None and not path.is_file():
            return wrong(
                ABOUT,
                f"there is none at {path}",
                "give its folder with --data or SFUMATO_DATA; sfumato up makes a new one",
            )
        with looked_at(settings) as database, database.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError, ImportError) as error:
        return wrong(
            ABOUT,
            f"it cannot be reached ({first_line(error)})",
            "see that it runs, that SFUMATO_DATABASE_URL or --data names it, and that this user "
            "may read and write it",
        )
    return None


def sqlite_file(settings: Settings) -> Path | None:
    """Where the database lies, if it is a file."""
    url = make_url(settings.effective_database_url)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def schema(database: Database) -> Finding:
    """Whether this version of Sfumato and the database mean the same tables."""
    with database.engine.connect() as connection:
        have = schema_of(connection)
    needed = newest_schema()
    if have == needed:
        return ok("schema", f"revision {have}, as this version needs it")
    if have is None:
        return wrong("schema", "the database is empty", "run sfumato migrate")
    if have in known_schemas():
        return wrong(
            "schema",
            f"the database has revision {have}, and this version needs {needed}",
            "stop servers and workers, keep a copy of the database, and run sfumato migrate",
        )
    return warning(
        "schema",
        f"the database has revision {have}, which this version does not know",
        "a newer Sfumato has added to it: this one works with it meanwhile; install that here too",
    )


def writable(database: Database) -> Finding:
    """Whether rows can be changed; none is."""
    try:
        with database.writing() as session:
            session.execute(update(Project).where(Project.id == -1).values(name=Project.name))
    except SQLAlchemyError as error:
        return wrong(
            ABOUT,
            f"it cannot be written ({first_line(error)})",
            "if it is locked, end who holds it; else give this user the right to write, and see "
            "that it is no read-only copy",
        )
    return ok(ABOUT, f"{database.engine.dialect.name} answers and can be written")


def clocks(session: Session) -> Finding:
    """Whether this machine and the database agree on the time."""
    before = utc_now()
    theirs = facts.clock(session)
    after = utc_now()
    off = (theirs - before - (after - before) / 2).total_seconds()
    unsure = (after - before).total_seconds()
    if abs(off) > 1 + unsure:
        words = f"the database's clock is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} "
        return (wrong if abs(off) > 5 else warning)(
            "clocks", f"{words}this machine's", "let both keep time by NTP (chrony, timesyncd)"
        )
    return ok("clocks", "this machine and the database agree")


def engine(settings: Settings, session: Session) -> Iterator[Finding]:
    """What hurts on one engine alone."""
    path = sqlite_file(settings)
    if path is not None:
        yield from _sqlite(path, session)
    elif session.get_bind().dialect.name == "postgresql":
        yield from _postgresql(session)


def _sqlite(path: Path, session: Session) -> Iterator[Finding]:
    kind = network_file_system(path)
    if kind is not None:
        yield wrong(
            ABOUT,
            f"{path} lies on a network file system ({kind}), where SQLite loses data",
            "put the data folder on a disk of this machine, or use PostgreSQL",
        )
    mode = session.scalar(text("PRAGMA journal_mode"))
    if mode != "wal":
        yield wrong(
            ABOUT,
            f"SQLite keeps no write-ahead log here (journal mode {mode})",
            "move the data folder to a local disk: this one does not let it",
        )
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size > _GIB:
        yield warning(
            ABOUT,
            f"its write-ahead log has grown to {log.stat().st_size / _GIB:.1f} GiB",
            "somebody reads without end: start server and workers again",
        )


def _postgresql(session: Session) -> Iterator[Finding]:
    asked = ("max_connections", "statement_timeout", "idle_in_transaction_session_timeout")
    query = text("SELECT name, setting::bigint FROM pg_settings WHERE name = ANY(:names)")
    found = {name: value for name, value in session.execute(query, {"names": list(asked)})}
    open_now = session.scalar(text("SELECT count(*) FROM pg_stat_activity")) or 0
    if open_now > 0.8 * found["max_connections"]:
        yield warning(
            ABOUT,
            f"{open_now} of {found['max_connections']} connections of PostgreSQL are open",
            "raise max_connections, or put a pooler (PgBouncer) in between",
        )
    for name in asked[1:]:
        limit = timedelta(milliseconds=found[name])
        if timedelta() < limit < _SHORTEST_READ:
            yield warning(
                ABOUT,
                f"PostgreSQL ends our transactions by {name} = {limit.total_seconds():g} s, and "
                "workers read for minutes",
                f"run ALTER ROLE … SET {name} = 0: writers bring time-outs of their own",
            )
