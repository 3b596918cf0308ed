"""uvicorn as `sfumato up` and `sfumato serve` run it: with limits, and ended in order."""

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from app.api.event_streams import EventStreams
from app.connections import guarded
from app.settings import Settings
from app.transfers.runner import TransferRunner

# asyncio accepts as many connections at a time as the backlog says, and some such lots before the
# first of them is counted: with uvicorn's 2,048 the process would run out of files before its limit
# could help. How many may wait in the system's queue is another number, and costs no files.
_ACCEPTED_AT_ONCE = 16
_QUEUE = 2048


class Server(uvicorn.Server):
    """uvicorn, with a word when it answers, and none left waiting when it stops.

    ``seconds_to_stop``: what requests that are under way get to end; ``on_stop``: called first.
    """

    def __init__(
        self,
        app: FastAPI,
        settings: Settings,
        seconds_to_stop: int,
        on_ready: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http=guarded(settings),
                ws="none",
                backlog=_ACCEPTED_AT_ONCE,
                log_config=None,
                access_log=False,
                forwarded_allow_ips=settings.trusted_proxies,
                timeout_keep_alive=settings.keep_alive_seconds,
                timeout_graceful_shutdown=seconds_to_stop,
            )
        )
        self._streams: EventStreams = app.state.streams
        self._transfers: TransferRunner = app.state.transfers
        self._on_ready, self._on_stop = on_ready, on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.should_exit:
            return
        for listening in (one for server in self.servers for one in server.sockets):
            with listening.dup() as own:
                own.listen(_QUEUE)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End event streams, which would go on for hours, then let requests end; what is under way
        beside them is told at once, so that all of it ends within the same seconds.
        """
        self._on_stop()
        self._transfers.leave()
        self._streams.close()
        await super().shutdown(sockets)
