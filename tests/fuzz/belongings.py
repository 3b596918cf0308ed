"""All that the database holds of a project, whatever tables there are."""

from typing import Any

from sqlalchemy import Row, Table, select

from app.store import Database
from app.store.base import Base

Found = dict[str, list[Row[Any]]]


def belongings(database: Database, project: str) -> Found:
    """The project, and rows that point to it over any number of steps, by table."""
    found: Found = {}
    with database.engine.connect() as connection:
        # Tables come after those that they point to.
        for table in Base.metadata.sorted_tables:
            rows = connection.execute(select(table)).all()
            found[table.name] = [row for row in rows if _belongs(row, table, found, project)]
    return {name: sorted(rows, key=repr) for name, rows in found.items() if rows}


def _belongs(row: Row[Any], table: Table, found: Found, project: str) -> bool:
    if table.name == "projects":
        return row.name == project
    if getattr(row, "project", None) == project:
        return True
    for key in table.foreign_keys:
        value = getattr(row, key.parent.name)
        there = found.get(key.column.table.name, ())
        if value is not None and any(getattr(other, key.column.name) == value for other in there):
            return True
    return False
