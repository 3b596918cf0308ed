"""An installation into one file, as it was at one moment, while it runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO

from sqlalchemy.orm import Session

from app.backup.archive import ArchiveWriter
from app.backup.manifest import Header, Manifest
from app.backup.numbers import highest_numbers
from app.backup.progress import Watch, counted, unwatched
from app.backup.rows import kept_tables, read_rows
from app.core.blob import Blob
from app.core.errors import AlreadyExists, NotFound
from app.loop.audit import record
from app.store import Database, blobs, utc_now
from app.store.audit import BACKUP_MADE
from app.store.migrate import newest_schema, schema_of


def make_backup(database: Database, path: Path, watch: Watch = unwatched) -> Manifest:
    """Write all that is kept at this moment into a new file; what is kept meanwhile is not in it.

    Bytes that are not what their name says are left out and named in the manifest. A note in the
    audit says when it was made. Raises ``AlreadyExists`` when the file is there, ``NotFound`` when
    there is nothing to save, ``OSError`` where the file cannot be written; none is left then.
    """
    with database.snapshot() as session, _whole_or_nothing(path) as file:
        header = _header(session)
        manifest = _write(session, ArchiveWriter(file, header), watch)
    # A database of an older schema is saved as it is; it may have no such table to note it in.
    if header.revision == newest_schema():
        with database.writing() as session:
            record(
                session,
                BACKUP_MADE,
                None,
                file=path.name,
                moment=header.made_at.isoformat(),
                bytes=path.stat().st_size,
                rows=manifest.rows,
                blobs=manifest.blobs.count,
                damaged=len(manifest.damaged),
            )
    return manifest


def _header(session: Session) -> Header:
    connection = session.connection()
    moment = utc_now()
    revision = schema_of(connection)
    if revision is None:
        raise NotFound(
            "there is nothing to save: the database has no tables. See that SFUMATO_DATABASE_URL "
            "or --data names the installation"
        )
    return Header(
        revision=revision,
        version=version("sfumato"),
        engine=connection.dialect.name,
        made_at=moment,
    )


def _write(session: Session, archive: ArchiveWriter, watch: Watch) -> Manifest:
    connection = session.connection()
    tables = kept_tables(connection)
    for table in tables:
        rows = read_rows(connection, table)
        archive.add_table(table.name, counted(rows, table.name, watch))
    damaged = []
    for name, body in counted(blobs.everything(session), "blobs", watch):
        blob = Blob.of(body)
        if blob.sha256 == name:
            archive.add_blob(blob)
        else:
            damaged.append(name)
    return archive.finish(highest_numbers(connection, tables), damaged)


@contextmanager
def _whole_or_nothing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that has its name once all of it is on the disk. Only its owner may read it."""
    if path.exists():
        raise AlreadyExists(f"{path} is there already: choose another name, or remove it")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
