"""A backup into an empty installation, on either engine: all of it or nothing."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Table, func, select, text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from app.backup.archive import ArchiveReader, Rows
from app.backup.manifest import Header, Manifest
from app.backup.numbers import give_on_from
from app.backup.progress import Watch, unwatched
from app.backup.references import broken_references
from app.backup.rows import insert_rows, kept_tables
from app.core.blob import Blob
from app.core.errors import BackupInvalid, NotEmpty
from app.loop.audit import record
from app.loop.restored import settle
from app.store import Database, Installation, blobs, utc_now
from app.store.migrate import (
    EMPTY,
    changing_schema,
    known_schemas,
    newest_schema,
    schema_of,
    to_schema,
)

_PORTION_BYTES = 8 << 20


def restore_backup(database: Database, path: Path, watch: Watch = unwatched) -> Manifest:
    """Put what a backup holds into an empty installation, and bring it to the present schema.

    What cannot go on elsewhere is settled: see ``loop.restored``. Raises ``NotEmpty``,
    ``BackupInvalid``; the installation is as it was then.
    """
    with ArchiveReader(path) as archive, changing_schema(database) as connection:
        _make_ready(connection, archive)
        with database.within(connection) as session:
            manifest = load(session, archive, watch)
            settle(session, utc_now())
            moment = archive.header.made_at.isoformat()
            record(session, "backup.restored", None, file=path.name, moment=moment)
    database.forget_log()
    return manifest


def load(session: Session, archive: ArchiveReader, watch: Watch) -> Manifest:
    """What an archive holds into an empty database of its schema, and on to the present one."""
    connection = session.connection()
    tables = {table.name: table for table in kept_tables(connection)}
    done: dict[str, int] = {}
    for what, many in _loaded(session, archive, tables):
        done[what] = done.get(what, 0) + many
        watch(what, done[what])
    manifest = archive.manifest
    to_schema(connection, newest_schema())
    # After that: making a table anew begins its numbers anew.
    give_on_from(connection, manifest.numbers)
    broken = next(broken_references(connection), None)
    if broken is not None:
        raise BackupInvalid(f"nothing was restored: in the backup, {broken}")
    return manifest


def _loaded(
    session: Session, archive: ArchiveReader, tables: dict[str, Table]
) -> Iterator[tuple[str, int]]:
    """Put each part where it belongs; then say of what it was, and of how many."""
    portion: list[Blob] = []
    size = 0
    for part in archive.parts():
        if isinstance(part, Rows):
            yield part.table, _insert(session.connection(), tables, part)
            continue
        portion.append(part)
        size += len(part.data)
        if size >= _PORTION_BYTES:
            blobs.put(session, *portion)
            yield "blobs", len(portion)
            portion, size = [], 0
    blobs.put(session, *portion)
    yield "blobs", len(portion)


def _insert(connection: Connection, tables: dict[str, Table], part: Rows) -> int:
    if part.table not in tables:
        raise BackupInvalid(f"its schema has no table {part.table}: the backup is damaged")
    try:
        return insert_rows(connection, tables[part.table], part.rows)
    except (IntegrityError, DataError) as error:
        raise BackupInvalid(
            f"nothing was restored: the database does not take a row of {part.table} "
            f"({str(error.orig).splitlines()[0]})"
        ) from error


def _make_ready(connection: Connection, archive: ArchiveReader) -> None:
    """An empty database of the archive's schema. Raises ``NotEmpty``, ``BackupInvalid``."""
    header = archive.header
    _check_schema(header)
    tables = kept_tables(connection)
    if connection.dialect.name == "postgresql" and tables:
        # Others may read on, and find it empty; whoever writes waits until it is full.
        names = ", ".join(table.name for table in tables)
        connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
    # Its key is made by a server's first request, before there is anything.
    for table in tables:
        if table.name == Installation.__tablename__:
            connection.execute(table.delete())
    counts = {t.name: connection.scalar(select(func.count()).select_from(t)) for t in tables}
    found = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    if found:
        raise NotEmpty(
            f"nothing was restored: the installation is not empty ({found}). Give another folder "
            "with --data, or a new database with SFUMATO_DATABASE_URL"
        )
    present = schema_of(connection)
    if present is not None and present not in known_schemas():
        raise NotEmpty(f"nothing was restored: the database has the newer schema {present}")
    if present != header.revision:
        if present is not None:
            to_schema(connection, EMPTY)
        to_schema(connection, header.revision)


def _check_schema(header: Header) -> None:
    if header.revision not in known_schemas():
        raise BackupInvalid(
            f"the backup was made by Sfumato {header.version} and has the schema "
            f"{header.revision}, which this program does not know (its own is "
            f"{newest_schema()}): restore it with a newer Sfumato"
        )
