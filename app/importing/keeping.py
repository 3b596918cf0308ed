"""Slices into the database, in short transactions that take turns with other writers."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from app.core.prepared import PreparedSlice
from app.formats.facts import CaseFacts
from app.formats.source import SLICES_AT_ONCE
from app.importing.options import ImportOptions
from app.loop.datasets import (
    IncomingCase,
    KnownCase,
    case_came_in,
    check_place,
    check_size,
    fill_place,
    is_answered_otherwise,
    is_known,
    keep_slices,
    known_case,
)
from app.store import Database, Project

_T = TypeVar("_T")
# How often what fails for a moment is tried again: a database that is locked or away.
_TRIES, _FIRST_WAIT, _LONGEST_WAIT = 10, 0.1, 10.0


class Keeping:
    """Takes the slices of one case after another. With ``options.check`` it only looks.

    ``open_project`` is asked for the project once a case could be read: a folder of which nothing
    can be read makes none.
    """

    def __init__(
        self,
        database: Database,
        project_name: str,
        open_project: Callable[[], Project],
        options: ImportOptions,
    ) -> None:
        self._database = database
        self._name = project_name
        self._open_project = open_project
        self._options = options
        self._project: Project | None = None
        self._case: IncomingCase | None = None
        self._known: KnownCase | None = None
        # Slices of a case that is there already, until all of it has been compared.
        self._held: list[PreparedSlice] = []
        self._added = 0
        self._unseen = 0
        # Slices of the case that have other labels than those that come now.
        self.otherwise = 0
        self.new = 0
        self.known = 0
        self.retraining: set[str] = set()

    def begin(self, case: IncomingCase, facts: CaseFacts) -> None:
        """A case could be read. Raises ``AlreadyExists``, ``InvalidInput``."""
        if self._options.check:
            with self._database.reading() as session:
                self._project = session.scalar(select(Project).where(Project.name == self._name))
        elif self._project is None:
            self._project = self._retried(self._open_project)
        self._case, self._held, self._added = case, [], 0
        self._known = None
        if self._project is not None:
            project_id = self._project.id
            with self._database.reading() as session:
                self._known = known_case(session, project_id, case.name)
        check_size(self._known, case.name, facts.height, facts.width)
        size = facts.width, facts.height, facts.slices + facts.missing
        check_place(self._known, case, size)
        self._unseen, self.otherwise = facts.slices, 0

    def add(self, slices: Sequence[PreparedSlice]) -> None:
        """Keep some slices. Raises ``AlreadyExists`` where others are there."""
        self._unseen -= len(slices)
        if self._known is None:
            if self._options.check:
                self.new += len(slices)
            else:
                self._keep(slices)
            return
        case = self._of_case()
        with self._database.reading() as session:
            for one in slices:
                there = self._known.slices.get(one.index)
                self.otherwise += is_answered_otherwise(session, one, there)
                if is_known(session, case.name, one, there):
                    self.known += 1
                else:
                    self._held.append(one)

    def end(self) -> None:
        """The case is whole."""
        held, self._held = self._held, []
        if self._options.check:
            # A project that is not there has nothing to compare with: slices were only counted.
            self.new += len(held) + self._unseen
        elif held:
            self._keep(held)
        elif self._known is not None and self._known.affine is None and self._project is not None:
            case, of = self._of_case(), self._project.id
            self._retried(lambda: self._written(lambda s: fill_place(s, of, case)))
        if self._added and self._project is not None:
            project_id = self._project.id
            job = self._retried(lambda: self._written(lambda s: case_came_in(s, project_id)))
            if job is not None:
                self.retraining.add(job.queue)
        self._added = 0

    def drop(self) -> int:
        """The case was refused; returns how many of its slices had come in by then."""
        added, self._added, self._held = self._added, 0, []
        return added

    def _of_case(self) -> IncomingCase:
        if self._case is None:
            raise RuntimeError("no case has begun")
        return self._case

    def _keep(self, slices: Sequence[PreparedSlice]) -> None:
        case, project = self._of_case(), self._project
        if project is None:
            raise RuntimeError("no project was opened")
        masks = self._options.masks
        compared = frozenset(self._known.slices) if self._known else frozenset()
        for start in range(0, len(slices), SLICES_AT_ONCE):
            part = slices[start : start + SLICES_AT_ONCE]
            began = time.monotonic()
            new = self._retried(
                lambda part=part: self._written(  # type: ignore[misc]
                    lambda s: keep_slices(s, project, case, part, masks, compared)
                )
            )
            self._added += new
            self.new += new
            self.known += len(part) - new
            # On SQLite whoever waits for the lock sleeps and looks again: leave it half as long as
            # it was held, or others would hardly find it free.
            if self._database.writers == 1:
                time.sleep(min((time.monotonic() - began) / 2, 0.2))

    def _written(self, work: Callable[[Session], _T]) -> _T:
        with self._database.writing() as session:
            return work(session)

    def _retried(self, work: Callable[[], _T]) -> _T:
        """A locked or absent database is waited for; every write can be repeated."""
        wait = _FIRST_WAIT
        for _ in range(_TRIES - 1):
            try:
                return work()
            except DBAPIError as error:
                if not is_transient(error):
                    raise
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        return work()


def is_away(error: Exception) -> bool:
    """Whether it is the database that failed, and not what was to be kept."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError)


def is_transient(error: DBAPIError) -> bool:
    """Whether the same may work a moment later."""
    return is_away(error) or isinstance(error, IntegrityError)
