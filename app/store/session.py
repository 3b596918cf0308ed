"""The database: one engine, and two ways in, to read and to write."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session

from app.store.blobs import BlobStore, DatabaseBlobs, attached

# No statement of a writer takes so long: beyond it something is wrong.
_STATEMENT_SECONDS = 120
# A transaction that holds locks and does nothing is of somebody who is gone.
_IDLE_SECONDS = 60
# SQLite's readers see one moment anyhow.
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# Together more than the 40 threads that requests run in could ask for at once.
_POOL_SIZE, _OVERFLOW = 10, 40


class Database:
    """An engine with its sessions. The caller that opens a session commits it, nobody else."""

    def __init__(
        self, url: str, lock_timeout_seconds: float = 10.0, blobs: BlobStore | None = None
    ) -> None:
        """``blobs``: where pixels, masks and weights lie; without one, in the database.

        ``lock_timeout_seconds``: how long a writer waits for another's lock, on any engine.
        """
        self._info = attached(blobs or DatabaseBlobs())
        self.engine = _engine(url, lock_timeout_seconds)
        # SQLite must take its write lock at BEGIN: a read that is upgraded later fails at once
        # when another writer came between, whatever the time-out. Elsewhere this is ignored.
        self._writing_engine = self.engine.execution_options(
            sqlite_begin="BEGIN IMMEDIATE", postgresql_begin=_hurry(lock_timeout_seconds)
        )

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that is rolled back at the end."""
        with Session(self.engine, expire_on_commit=False, info=self._info) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction: committed if the block ends well, rolled back if it raises."""
        with (
            Session(self._writing_engine, expire_on_commit=False, info=self._info) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session that sees one moment, however long it reads; writers go on meanwhile.

        The moment is that of its first query.
        """
        engine = self.engine.execution_options(postgresql_begin=_SNAPSHOT)
        with Session(engine, expire_on_commit=False, info=self._info) as session:
            yield session

    @contextmanager
    def within(self, connection: Connection) -> Iterator[Session]:
        """A session in a transaction that somebody else ends."""
        with Session(connection, join_transaction_mode="rollback_only", info=self._info) as session:
            yield session
            session.flush()

    @property
    def writers(self) -> int:
        """How many transactions can write side by side: one on SQLite."""
        return 1 if self.engine.dialect.name == "sqlite" else _POOL_SIZE

    def forget_log(self) -> None:
        """After a deletion: let SQLite move its log into the file and empty it, if nobody reads.

        The log still holds the pages as they were. Elsewhere the database does so on its own.
        """
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                cursor = connection.connection.cursor()
                cursor.execute("PRAGMA busy_timeout=1000")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                cursor.close()
                # Its time-out is its own.
                connection.invalidate()

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _engine(url: str, lock_timeout_seconds: float) -> Engine:
    if not url.startswith("sqlite"):
        engine = create_engine(
            url, pool_pre_ping=True, pool_size=_POOL_SIZE, max_overflow=_OVERFLOW
        )
        if engine.dialect.name == "postgresql":
            event.listen(engine, "begin", _begin_postgresql)
        return engine
    engine = create_engine(
        url,
        connect_args={"timeout": lock_timeout_seconds},
        pool_size=_POOL_SIZE,
        max_overflow=_OVERFLOW,
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _hurry(lock_timeout_seconds: float) -> str:
    """Time-outs of one transaction, so that they pass through a pooler of connections too."""
    timeouts = {
        "lock_timeout": lock_timeout_seconds,
        "statement_timeout": _STATEMENT_SECONDS,
        "idle_in_transaction_session_timeout": _IDLE_SECONDS,
    }
    return "; ".join(f"SET LOCAL {name} = {round(1000 * s)}" for name, s in timeouts.items())


def _begin_postgresql(connection: Connection) -> None:
    # Writers alone hold locks; a worker reads pixels in one transaction while it computes.
    begin = connection.get_execution_options().get("postgresql_begin")
    if begin is not None:
        connection.exec_driver_sql(begin)


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # Autocommit at the driver, so that our own BEGIN decides the kind of transaction.
    connection.isolation_level = None
    # FULL: in WAL mode anything less may lose the last commits when the power goes, and a
    # mask that was answered with 201 must survive that. What is deleted is overwritten, so that
    # nobody reads it out of the file's free pages.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    connection.exec_driver_sql(begin)
