"""What people look at, gathered by minute for the audit trail: off the requests' path."""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.caller import Caller, calling, present
from app.loop.access import Reader
from app.loop.audit import record
from app.store import Database, ModelVersion, Slice

SLICES, WEIGHTS, REFUSED = "slices.seen", "weights.fetched", "sign-in.refused"
# Beyond so many in one minute only the count goes on.
_MOST_IDS, _MOST_KEYS = 2_000, 20_000


@dataclass
class _Gathered:
    count: int = 0
    ids: set[int] = field(default_factory=set)


# The act, who and from where, and what else tells such acts apart.
_Key = tuple[str, int | None, str | None, tuple[tuple[str, str], ...]]


class Seen:
    """Counts what is looked at, by act, account and address, until ``write`` keeps it.

    A server that is killed loses what it has gathered since: a minute at most.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._gathered: dict[_Key, _Gathered] = {}
        self._written = time.monotonic()

    def note(
        self,
        action: str,
        reader: Reader | None = None,
        which: int | None = None,
        about: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Somebody looks at something, by its number; or nobody was let in: ``about`` says how."""
        who = reader.account.id if reader else None
        key: _Key = (action, who, present().address, tuple(sorted(about.items())))
        with self._lock:
            if key not in self._gathered and len(self._gathered) >= _MOST_KEYS:
                key = (action, None, None, ())
            found = self._gathered.setdefault(key, _Gathered())
            found.count += 1
            if which is not None and len(found.ids) < _MOST_IDS:
                found.ids.add(which)

    def write_if_due(self, database: Database) -> None:
        """Keep what was gathered, once in a while."""
        if time.monotonic() - self._written >= self._seconds:
            self.write(database)

    def write(self, database: Database) -> None:
        """Keep what was gathered; where the database is away it is kept for the next time."""
        with self._lock:
            gathered, self._gathered = self._gathered, {}
            self._written = time.monotonic()
        if not gathered:
            return
        try:
            with database.writing() as session:
                for (action, account, address, about), found in gathered.items():
                    with calling(Caller(account, address)):
                        _keep(session, action, found, dict(about))
        except Exception:
            with self._lock:
                for key, found in gathered.items():
                    there = self._gathered.setdefault(key, _Gathered())
                    there.count += found.count
                    there.ids |= found.ids
            raise


def _keep(session: Session, action: str, found: _Gathered, about: dict[str, Any]) -> None:
    if not found.ids:
        record(session, action, None, None, count=found.count, **about)
        return
    kind = ModelVersion if action == WEIGHTS else Slice
    word = "models" if action == WEIGHTS else "slices"
    for project, ids in _by_project(session, kind, sorted(found.ids)).items():
        record(session, action, None, project, **{word: ids})
    if len(found.ids) >= _MOST_IDS:
        # There were more than are named; of which projects, nobody has kept.
        record(session, action, None, looks=found.count, named=len(found.ids))


def _by_project(
    session: Session, kind: type[Slice] | type[ModelVersion], ids: Iterable[int]
) -> dict[int, list[int]]:
    """Numbers by project; those that were deleted meanwhile are nobody's."""
    found: dict[int, list[int]] = {}
    rows = select(kind.project_id, kind.id).where(kind.id.in_(ids)).order_by(kind.id)
    for project, one in session.execute(rows):
        found.setdefault(project, []).append(one)
    return found
