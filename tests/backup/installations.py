"""What an installation holds, for the tests of backups."""

from sqlalchemy import select

from app.store import Base, Database, Mask

# Of a process that is there, or was.
NOT_KEPT = {"workers"}


def engine_of(database: Database) -> str:
    return database.engine.dialect.name


def other_than(engine: str) -> str:
    return "postgresql" if engine == "sqlite" else "sqlite"


def everything(database: Database) -> dict[str, list[dict]]:
    """All rows of all tables, blobs too, in the order of their keys, as the models read them."""
    with database.snapshot() as session:
        return {
            name: [
                dict(row) for row in session.execute(select(t).order_by(*t.primary_key)).mappings()
            ]
            for name, t in Base.metadata.tables.items()
            if name not in NOT_KEPT
        }


def without_notes(held: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """The same without what backups say of themselves."""
    events = [row for row in held["events"] if not row["action"].startswith("backup.")]
    return {**held, "events": events}


def masks_of(database: Database) -> set[int]:
    with database.reading() as session:
        return set(session.scalars(select(Mask.id)))
