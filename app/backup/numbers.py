"""The highest id that each table ever gave: numbers are given once, also after a restoring."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, Table, func, select, text


def highest_numbers(connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
    """By table, the highest id that it ever gave, or that is there."""
    counters = _counters(connection)
    return {
        table.name: max(
            counters.get(table.name, 0),
            connection.scalar(select(func.max(table.c.id))) or 0,
        )
        for table in tables
        if "id" in table.c
    }


def give_on_from(connection: Connection, numbers: Mapping[str, int]) -> None:
    """Let the next id of each table be higher than what was ever given."""
    for table in _counted(connection):
        highest = numbers.get(table, 0)
        if not highest:
            continue
        if connection.dialect.name == "postgresql":
            sequence = text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :highest)")
            connection.execute(sequence, {"table": table, "highest": highest})
        else:
            given = {"table": table, "highest": highest}
            forget = text("DELETE FROM sqlite_sequence WHERE name = :table")
            connection.execute(forget, {"table": table})
            connection.execute(text("INSERT INTO sqlite_sequence VALUES (:table, :highest)"), given)


def behind(connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
    """Tables whose next id may be there already, with their highest id."""
    counters = _counters(connection)
    counted = _counted(connection)
    highest = {
        table.name: connection.scalar(select(func.max(table.c.id))) or 0
        for table in tables
        if table.name in counted
    }
    return {name: number for name, number in highest.items() if counters.get(name, 0) < number}


def _counted(connection: Connection) -> list[str]:
    """The tables that have a counter. Others of SQLite go by the highest id that is there."""
    if connection.dialect.name == "postgresql":
        serial = (
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'id' "
            "AND table_schema = current_schema() AND column_default LIKE 'nextval(%'"
        )
        return list(connection.scalars(text(serial)))
    once = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
    return list(connection.scalars(text(once)))


def _counters(connection: Connection) -> dict[str, int]:
    if connection.dialect.name == "postgresql":
        last = text(
            "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:t, 'id') AS regclass))"
        )
        return {t: connection.scalar(last, {"t": t}) or 0 for t in _counted(connection)}
    if not _counted(connection):
        return {}
    rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence"))
    return {name: number for name, number in rows}
