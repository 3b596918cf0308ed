"""What refers to what: rows to rows, and rows to bytes. What is wrong is told in words."""

from collections.abc import Iterator

from sqlalchemy import Connection, ForeignKey, Table, func, select
from sqlalchemy.orm import Session

from app.backup.progress import Watch, unwatched
from app.loop import traces
from app.store import Base, blobs

_AT_ONCE = 500


def broken_references(connection: Connection, watch: Watch = unwatched) -> Iterator[str]:
    """Rows that refer to a row that is not there, a line for each column and target.

    The database must be of the present schema.
    """
    # As the models say: a database that lost a constraint shall not hide what it let in.
    for table in Base.metadata.sorted_tables:
        watch(f"references of {table.name}", 0)
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
            yield from _dangling(connection, table, key)


def _dangling(connection: Connection, table: Table, key: ForeignKey) -> Iterator[str]:
    target = key.column.table.alias()
    column = key.parent
    there = select(1).where(target.c[key.column.name] == column).correlate(table).exists()
    gone = select(column, func.count()).where(column.is_not(None), ~there).group_by(column)
    for value, count in connection.execute(gone.execution_options(yield_per=_AT_ONCE)):
        yield (
            f"{count} rows of {table.name} refer with {column.name} to {key.column.table.name} "
            f"{value}, which is not there"
        )


def missing_bytes(session: Session, watch: Watch) -> Iterator[str]:
    """Bytes that rows name and that are not there."""
    for column in traces.BLOBS:
        where = f"{column.class_.__tablename__}.{column.key}"
        last, done = "", 0
        watch(f"bytes of {where}", done)
        while names := list(
            session.scalars(
                select(column).where(column > last).distinct().order_by(column).limit(_AT_ONCE)
            )
        ):
            there = blobs.those_there(session, names)
            for name in names:
                if name not in there:
                    yield f"{where} names the bytes {name}, which are not there"
            last, done = names[-1], done + len(names)
            watch(f"bytes of {where}", done)


def unnamed_bytes(session: Session) -> Iterator[str]:
    """Bytes that no row names. A deletion that was interrupted leaves some: they do no harm."""
    for names in blobs.all_names(session):
        for name in sorted(set(names) - traces.in_use(session, names)):
            yield f"the bytes {name} are there, and no row names them"
