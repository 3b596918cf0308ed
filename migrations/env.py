"""Alembic's entry: runs the migrations on the connection that it was handed."""

from typing import Any, Literal

from alembic import context

from app.store import Base
from app.store.base import EnumText, UtcDateTime


def _plain_type(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    # A migration must not change when a class of ours does.
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, EnumText):
        return "sa.String(length=20)"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    # SQLite changes a table by making it anew; batch mode does that, and is harmless elsewhere.
    render_as_batch=True,
    render_item=_plain_type,
)
with context.begin_transaction():
    context.run_migrations()
