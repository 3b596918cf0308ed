"""Carrying a deletion out step by step, each step waiting for its turn among other writers."""

from collections.abc import Callable
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Query, Request
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from sqlalchemy.orm import Session

from app.api.dependencies import CurrentDatabase, Workers
from app.api.gate import Gate
from app.api.schemas.deletions import DeletionOut
from app.loop.access import Reader
from app.loop.deletes import steps
from app.loop.deletions import Deletion
from app.store import Database

Confirm = Annotated[
    str | None,
    Query(description="Its name, as `confirm` of the reply without this; else nothing is deleted."),
]


class Deleter:
    """Deletes what is found, or says what would go."""

    def __init__(self, database: Database, gate: Gate, workers: Workers) -> None:
        self._database = database
        self._gate = gate
        self._workers = workers

    async def __call__(
        self,
        find: Callable[[Session], Deletion],
        by: Reader,
        confirm: str | None,
        background: BackgroundTasks,
    ) -> DeletionOut:
        """Delete it if ``confirm`` is its name. Raises ``NotFound``, ``InvalidInput``."""
        planned = await run_in_threadpool(self._look, find)
        if confirm is not None:
            for step in steps(planned, confirm, by.account):
                writing = contextmanager_in_threadpool(self._database.writing())
                async with self._gate.turn(), writing as session:
                    await run_in_threadpool(step, session)
            await run_in_threadpool(self._database.forget_log)
            if planned.queues:
                background.add_task(self._workers.wake, sorted(planned.queues))
        return DeletionOut.model_validate(planned)

    def _look(self, find: Callable[[Session], Deletion]) -> Deletion:
        with self._database.reading() as session:
            return find(session)


def _deleter(request: Request, database: CurrentDatabase, workers: Workers) -> Deleter:
    return Deleter(database, request.app.state.writer_gate, workers)


Deletes = Annotated[Deleter, Depends(_deleter)]
