"""Deleting needs two things: numbers that are given once, and indexes.

SQLite gave the number of a deleted last row to the next one: a mask that was drawn for a slice
that is gone would have landed on another. And without an index on what refers to a slice, a
database looks through all scores for every single slice that goes.
"""

import re

from alembic import op
from sqlalchemy import text


revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INDEXED = (
    ("agreements", "other_id"),
    ("leases", "slice_id"),
    ("map_points", "slice_id"),
    ("masks", "suggestion_model_id"),
    ("query_items", "slice_id"),
    ("reviews", "mask_id"),
    ("scores", "slice_id"),
    ("slice_features", "slice_id"),
    ("suggestions", "slice_id"),
)
# Whose numbers people and programs hold on to.
_NUMBERED = ("projects", "cases", "slices", "masks", "models", "rounds", "leases", "jobs")


def upgrade() -> None:
    """Apply."""
    if op.get_bind().dialect.name == "sqlite":
        for table in _NUMBERED:
            _number_once(table)
        broken = op.get_bind().execute(text("PRAGMA foreign_key_check")).all()
        if broken:
            raise RuntimeError(f"{len(broken)} rows refer to nothing, such as {broken[0]}")
    for table, column in _INDEXED:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def _number_once(table: str) -> None:
    """Make a table anew, as it was but for numbers that are never given again.

    As SQLite's documentation says, step by step; references are not enforced meanwhile.
    """
    connection = op.get_bind()
    found = "SELECT type, sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL"
    rows = connection.execute(text(found), {"table": table}).all()
    made = next(row.sql for row in rows if row.type == "table")
    made, named = re.subn(rf'^CREATE TABLE "?{table}"?', f"CREATE TABLE new_{table}", made)
    number = "id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"
    made, keyed = re.subn(r"\bid INTEGER NOT NULL", number, made, count=1)
    made, freed = re.subn(rf",\s*CONSTRAINT pk_{table} PRIMARY KEY \(id\)", "", made)
    if (named, keyed, freed) != (1, 1, 1):
        raise RuntimeError(f"the table {table} is not as it was made: {made}")
    connection.exec_driver_sql(made)
    connection.exec_driver_sql(f"INSERT INTO new_{table} SELECT * FROM {table}")
    connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql(f"ALTER TABLE new_{table} RENAME TO {table}")
    for row in rows:
        if row.type == "index":
            connection.exec_driver_sql(row.sql)


def downgrade() -> None:
    """Undo. Numbers that are given once do no harm, and stay."""
    for table, column in _INDEXED:
        op.drop_index(op.f(f"ix_{table}_{column}"), table_name=table)
