"""Server-sent events of rows that change until they have ended.

All streams of a process are fed by one look at the database after the other, which looks once at
each row however many follow it, and asks now and then whether each reader may still see it.
"""

import asyncio
import contextvars
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated
from weakref import WeakKeyDictionary

import structlog
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent
from sqlalchemy.orm import Session

from app.api.dependencies import ReaderAgain, SignedIn
from app.api.schemas.jobs import JobOut
from app.api.schemas.transfers import TransferOut
from app.core.errors import NotFound, SfumatoError, TooManyRequests
from app.loop.access import Reader
from app.store import ACTIVE_STATES, Account, Database

_POLL_SECONDS = 0.5
# How soon a stream ends whose token was revoked, or whose reader was signed out.
_CHECK_SECONDS = 2.0
# After which one may try again who has too many streams open.
_RETRY_SECONDS = 10.0

_log = structlog.get_logger("sfumato.streams")

Seen = JobOut | TransferOut
Row = tuple[str, int]
Look = Callable[[Session], Seen]
Check = Callable[[Session], None]


@dataclass(eq=False)
class _Stream:
    row: Row
    look: Look
    check: Check
    seen: Seen | None = None
    over: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, seen: Seen) -> None:
        if seen != self.seen:
            self.seen = seen
            self.changed.set()

    def end(self) -> None:
        self.over = True
        self.changed.set()


class _Watch:
    """What feeds the streams of one event loop, while there are any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._streams: set[_Stream] = set()
        self._come = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def join(self, stream: _Stream) -> None:
        self._streams.add(stream)
        self._come.set()
        if self._task is None or self._task.done():
            # Without the words that the log has for the request that happens to be the first.
            nobody = contextvars.Context()
            self._task = asyncio.get_running_loop().create_task(self._run(), context=nobody)

    def leave(self, stream: _Stream) -> None:
        self._streams.discard(stream)

    def end(self) -> None:
        for stream in self._streams:
            stream.end()

    async def _run(self) -> None:
        checked = time.monotonic()
        while self._streams:
            self._come.clear()
            due = time.monotonic() - checked >= _CHECK_SECONDS
            checked = time.monotonic() if due else checked
            try:
                await self._feed(list(self._streams), due)
            except Exception as error:  # such as a database that is away for a while
                _log.warning("event streams could not look at the database", error=str(error))
                await asyncio.sleep(_POLL_SECONDS)
            await self._pause()

    async def _pause(self) -> None:
        """Until the next look; whoever comes new does not wait for it."""
        try:
            await asyncio.wait_for(self._come.wait(), _POLL_SECONDS)
        except TimeoutError:
            return

    async def _feed(self, streams: list[_Stream], check: bool) -> None:
        seen, over = await run_in_threadpool(self._look, streams, check)
        for stream in streams:
            if stream.row in seen:
                stream.show(seen[stream.row])
            if stream in over:
                stream.end()

    def _look(self, streams: list[_Stream], check: bool) -> tuple[dict[Row, Seen], set[_Stream]]:
        """What rows show now, and the streams that end: of rows that are gone, or not theirs."""
        seen: dict[Row, Seen] = {}
        gone: set[Row] = set()
        over: set[_Stream] = set()
        with self._database.reading() as session:
            for row, look in {stream.row: stream.look for stream in streams}.items():
                try:
                    seen[row] = look(session)
                except NotFound:
                    gone.add(row)
            for stream in streams:
                if stream.row in gone or (check and not _may_go_on(stream, session)):
                    over.add(stream)
        return seen, over


def _may_go_on(stream: _Stream, session: Session) -> bool:
    try:
        stream.check(session)
    except SfumatoError:
        return False
    return True


class EventStreams:
    """All open streams of this process, counted by account; 0: an account has as many as it likes.

    Each event loop has a watch of its own: a server has one loop, tests have several.
    """

    def __init__(self, database: Database, per_account: int) -> None:
        self._database = database
        self._per_account = per_account
        self._open: Counter[int] = Counter()
        self._watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()
        self._closed = False

    @contextmanager
    def place(self, account: Account) -> Iterator[None]:
        """A stream's place among its account's. Raises ``TooManyRequests``."""
        if self._per_account and self._open[account.id] >= self._per_account:
            raise TooManyRequests(
                f"{account.name!r} follows {self._per_account} jobs or transfers already, as "
                "many as one account may: close other pages or programs, or ask for the state "
                "itself now and then",
                _RETRY_SECONDS,
            )
        self._open[account.id] += 1
        try:
            yield
        finally:
            self._open[account.id] -= 1
            if not self._open[account.id]:
                del self._open[account.id]

    async def follow(self, row: Row, look: Look, check: Check) -> AsyncIterator[ServerSentEvent]:
        """An event for each change of what ``look`` shows, until that has ended.

        It ends too when the row is deleted, when ``check`` raises, and when the server stops.
        """
        stream = _Stream(row, look, check)
        loop = asyncio.get_running_loop()
        watch = self._watches.setdefault(loop, _Watch(self._database))
        watch.join(stream)
        try:
            while not self._closed:
                await stream.changed.wait()
                stream.changed.clear()
                if stream.over or stream.seen is None:
                    return
                yield ServerSentEvent(event=row[0], data=stream.seen.model_dump(mode="json"))
                if stream.seen.state not in ACTIVE_STATES:
                    return
        finally:
            watch.leave(stream)

    def close(self) -> None:
        """End all streams: the server stops. From any thread."""
        self._closed = True
        for loop, watch in list(self._watches.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(watch.end)


@dataclass(frozen=True)
class Follower:
    """One reader's stream, its place taken."""

    streams: EventStreams
    again: Callable[[Session], Reader]

    def follow(
        self, kind: str, number: int, look: Look, find: Callable[[Session, Reader], object]
    ) -> AsyncIterator[ServerSentEvent]:
        """Events named ``kind`` of a row, while the reader is signed in and may find it."""

        def check(session: Session) -> None:
            find(session, self.again(session))

        return self.streams.follow((kind, number), look, check)


async def _follower(
    request: Request, reader: SignedIn, again: ReaderAgain
) -> AsyncIterator[Follower]:
    streams: EventStreams = request.app.state.streams
    with streams.place(reader.account):
        yield Follower(streams, again)


# Declared after what finds the row: its place is kept until the stream has ended.
Stream = Annotated[Follower, Depends(_follower)]
