"""Server-sent events of a row that changes until it has ended."""

import asyncio
from collections.abc import AsyncIterator, Callable

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent

from app.api.schemas.jobs import JobOut
from app.api.schemas.transfers import TransferOut
from app.core.errors import NotFound
from app.store import ACTIVE_STATES

_POLL_SECONDS = 0.5


async def changes(
    event: str, look: Callable[[], JobOut] | Callable[[], TransferOut]
) -> AsyncIterator[ServerSentEvent]:
    """An event for each change of what ``look`` shows, until that has ended or was deleted."""
    last: JobOut | TransferOut | None = None
    while True:
        try:
            seen: JobOut | TransferOut = await run_in_threadpool(look)
        except NotFound:
            return
        if seen != last:
            last = seen
            yield ServerSentEvent(event=event, data=seen.model_dump(mode="json"))
        if seen.state not in ACTIVE_STATES:
            return
        await asyncio.sleep(_POLL_SECONDS)
