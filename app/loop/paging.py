"""Lists by cursor: a page ends where the next begins, whatever was added meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list, and the cursor that gives what follows (None at the end)."""

    items: list[T]
    next: int | None


def page_of(
    rows: Sequence[R], limit: int, key: Callable[[R], int], view: Callable[[R], T]
) -> Page[T]:
    """A page of ``limit`` out of up to ``limit + 1`` rows that were fetched."""
    shown = rows[:limit]
    following = key(shown[-1]) if len(rows) > limit else None
    return Page([view(row) for row in shown], following)


def paginate(
    session: Session,
    query: Select[R],
    column: InstrumentedAttribute[int],
    cursor: int | None,
    limit: int,
    view: Callable[[R], T],
    newest: bool = False,
) -> Page[T]:
    """A page of a query in the order of ``column``, after the cursor; ``newest``: backwards."""
    if cursor is not None:
        query = query.where(column < cursor if newest else column > cursor)
    order = column.desc() if newest else column
    rows = session.scalars(query.order_by(order).limit(limit + 1)).all()
    return page_of(rows, limit, key=lambda row: getattr(row, column.key), view=view)
