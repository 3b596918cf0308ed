"""Everything that an installation keeps, or a backup of it, checked; what is wrong is named."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.orm import Session

from app.backup import contents, numbers, references
from app.backup.progress import Watch, unwatched
from app.backup.restore import restore_backup
from app.backup.rows import kept_tables
from app.loop.audit_chain import broken_links
from app.store import Database


def verify_database(database: Database, watch: Watch = unwatched) -> Iterator[str]:
    """What is wrong, a line for each: hashes, references, masks, images, labels, numbers.

    As of one moment, so that what is kept or deleted meanwhile is no fault. The database must be
    of the present schema.
    """
    with database.snapshot() as session:
        yield from _faults(session, watch)


def verify_backup(path: Path, watch: Watch = unwatched) -> Iterator[str]:
    """What is wrong with a backup, which is restored into a temporary file to see whether it can.

    That takes as much space as the backup, in the folder for temporary files. Raises
    ``BackupInvalid`` when it cannot be restored.
    """
    with tempfile.TemporaryDirectory(prefix="sfumato-verify-") as folder:
        database = Database(f"sqlite:///{Path(folder) / 'restored.db'}")
        try:
            manifest = restore_backup(database, path, watch)
            for name in manifest.damaged:
                yield f"the bytes {name} were damaged when the backup was made, and are not in it"
            yield from verify_database(database, watch)
        finally:
            database.dispose()


def _faults(session: Session, watch: Watch) -> Iterator[str]:
    connection = session.connection()
    yield from references.broken_references(connection, watch)
    yield from contents.changed_bytes(session, watch)
    yield from references.missing_bytes(session, watch)
    yield from references.unnamed_bytes(session)
    yield from contents.wrong_masks(session, watch)
    yield from contents.wrong_images(session, watch)
    yield from contents.wrong_labels(session)
    yield from broken_links(session)
    for table, highest in numbers.behind(connection, kept_tables(connection)).items():
        yield f"the next number of {table} may be one that is there: its highest is {highest}"
