"""The declarative base and the column types that every aggregate shares."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, Dialect, MetaData, String, TypeDecorator, func, select
from sqlalchemy.orm import DeclarativeBase, Session

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def utc_now() -> datetime:
    """The present, aware, in UTC: the one clock of the store."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes, always UTC. SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive value rather than guess its zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: give it a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back an aware value, in UTC."""
        if value is None:
            return None
        # PostgreSQL gives them in the zone of its connection.
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def database_now(session: Session) -> datetime:
    """The present by the database's clock: the same for all who share it, whatever theirs say.

    PostgreSQL's is that of the transaction's begin; SQLite has none but this machine's.
    """
    if session.get_bind().dialect.name == "sqlite":
        return utc_now()
    return session.scalars(select(func.now(type_=UtcDateTime()))).one()


class EnumText(TypeDecorator[StrEnum]):
    """A ``StrEnum`` kept as plain text, so that a new member needs no migration."""

    impl = String(20)
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        """Check the value while it is still in our hands."""
        return None if value is None else self.kind(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        """Give back the enum's member."""
        return None if value is None else self.kind(value)


class Base(DeclarativeBase):
    """Base of all models."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {
        datetime: UtcDateTime(),
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }
