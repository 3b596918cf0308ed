"""The web application: routers, error handlers, middleware, and the sweep in its lifespan."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.api import (
    accounts,
    audit,
    cases,
    catalogue,
    exports,
    health,
    imports,
    jobs,
    masks,
    metrics,
    models,
    pages,
    problems,
    projects,
    query,
    reviews,
    rounds,
    slices,
    transfers,
)
from app.api.gate import WriterGate
from app.api.limits import PlainAddresses
from app.api.middleware import RequestRecord, SecurityHeaders
from app.dispatch import CeleryDispatcher, Dispatcher, NoDispatcher
from app.map_drawer import MapDrawer
from app.observing.metrics import Metrics
from app.observing.tracing import start_tracing
from app.settings import Settings
from app.store import Database
from app.sweep import sweep_until
from app.transfers.runner import TransferRunner, sweep

_DESCRIPTION = """
Sfumato asks experts only for the masks that teach the model most. Annotators fetch the next
slices (`GET /query/next`), draw, and post masks of class indices; a retraining scores the rest
of the pool and opens the next round.

Every error is an RFC 9457 problem. Tokens go into `Authorization: Bearer TOKEN`.
"""


def create_app(
    settings: Settings | None = None,
    database: Database | None = None,
    dispatcher: Dispatcher | None = None,
) -> FastAPI:
    """The application; what is not given is made from the settings."""
    settings = settings or Settings()
    database = database or Database(settings.effective_database_url, settings.lock_timeout_seconds)
    if dispatcher is None:
        url = settings.broker_url
        dispatcher = CeleryDispatcher(url) if url else NoDispatcher()

    runner = TransferRunner(database, settings, dispatcher.wake)
    maps = MapDrawer(database)
    tracing = start_tracing(settings, "sfumato-server", database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()
        sweeper = threading.Thread(
            target=sweep_until,
            args=(stop, database, dispatcher, settings, lambda: sweep(database, settings)),
            name="sweep",
        )
        sweeper.start()
        runner.start()
        yield
        stop.set()
        runner.stop()
        maps.stop()
        sweeper.join()
        tracing.stop()

    app = FastAPI(
        title="Sfumato",
        version="0.1.0",
        description=_DESCRIPTION,
        lifespan=lifespan,
        # The bundled pages load scripts from elsewhere; no request leaves our own origin.
        docs_url=None,
        redoc_url=None,
        # Of FastAPI's own signals the spans alone, and to our collector alone.
        telemetry={
            "tracer_provider": tracing.provider,
            "tracing": tracing.provider is not None,
            "metrics": False,
            "logs": False,
            "auto_configure": False,
            # Asked for all day by who only wants to know that we live.
            "exclude": lambda scope: scope["path"].startswith(("/health/", "/metrics")),
        },
    )
    app.state.settings = settings
    app.state.database = database
    app.state.dispatcher = dispatcher
    app.state.transfers = runner
    app.state.maps = maps
    app.state.metrics = Metrics(database, settings)
    app.state.writer_gate = WriterGate(database.writers)
    problems.install(app)
    for resource in (
        health,
        metrics,
        accounts,
        audit,
        projects,
        cases,
        exports,
        imports,
        transfers,
        slices,
        query,
        masks,
        reviews,
        jobs,
        rounds,
        models,
        catalogue,
        pages,
    ):
        app.include_router(resource.router)
    pages.mount_assets(app)
    app.add_middleware(PlainAddresses)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestRecord, metrics=app.state.metrics)
    return app
