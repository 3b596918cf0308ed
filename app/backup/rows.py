"""Rows as JSON and back, of whatever tables a database has, on either engine."""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import JSON, Connection, DateTime, LargeBinary, MetaData, Table, inspect, select

from app.backup.archive import Row
from app.core.errors import BackupInvalid
from app.store import Base, StoredBlob, Worker

# Bytes go by their port, wherever they lie; workers say anew that they are there.
_LEFT_OUT = {StoredBlob.__tablename__, Worker.__tablename__}
_AT_ONCE = 500


def kept_tables(connection: Connection) -> list[Table]:
    """The tables that a backup is of, as they are in this database, the referred ones first."""
    ours = [name for name in Base.metadata.tables if name not in _LEFT_OUT]
    there = inspect(connection)
    # What the models say is of one schema only; an archive may be of an older.
    found = MetaData()
    found.reflect(connection, only=[name for name in ours if there.has_table(name)])
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type = JSON(none_as_null=bool(column.nullable))
    return [table for table in found.sorted_tables if table.name in ours]


def read_rows(connection: Connection, table: Table) -> Iterator[Row]:
    """All rows of a table in the order of its key, their values as JSON knows them."""
    query = select(table).order_by(*table.primary_key.columns)
    names = [column.name for column in table.columns]
    with connection.execute(query.execution_options(yield_per=_AT_ONCE)) as found:
        for row in found:
            yield {name: _as_json(value) for name, value in zip(names, row, strict=True)}


def insert_rows(connection: Connection, table: Table, rows: Iterator[Row]) -> int:
    """Put rows into a table; returns how many it were.

    Raises ``BackupInvalid`` when they are not of such a table.
    """
    done = 0
    while some := [_from_json(table, row) for row in islice(rows, _AT_ONCE)]:
        connection.execute(table.insert(), some)
        done += len(some)
    return done


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        # SQLite forgets the zone, which is UTC.
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value


def _from_json(table: Table, row: Row) -> Row:
    columns = table.columns
    if row.keys() != {column.name for column in columns}:
        raise BackupInvalid(f"a row of {table.name} has other columns than its schema: {list(row)}")
    try:
        return {name: _value(columns[name].type, value) for name, value in row.items()}
    except (TypeError, ValueError) as error:
        raise BackupInvalid(f"a row of {table.name} cannot be read: {error}") from error


def _value(kind: object, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, DateTime):
        return datetime.fromisoformat(value)
    if isinstance(kind, LargeBinary):
        return b64decode(value, validate=True)
    return value
