"""The web application: routers, error handlers, middleware; its background runs in its lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from app.api import (
    accounts,
    audit,
    cases,
    catalogue,
    exports,
    health,
    hooks,
    identities,
    imports,
    jobs,
    masks,
    members,
    metrics,
    models,
    pages,
    problems,
    projects,
    provider_sessions,
    query,
    reviews,
    rounds,
    sessions,
    slices,
    transfers,
)
from app.api.event_streams import EventStreams
from app.api.gate import Gate, GateEach
from app.api.limits import PlainAddresses
from app.api.middleware import FromWhere, RequestRecord, SecurityHeaders
from app.api.rates import Rates, RequestRates
from app.background import Background
from app.dispatch import CeleryDispatcher, Dispatcher, NoDispatcher
from app.loop.audit_chain import known_address_key
from app.observing.metrics import Metrics
from app.observing.tracing import start_tracing
from app.settings import Settings
from app.store import Database

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

    background = Background(database, dispatcher, settings)
    streams = EventStreams(database, settings.streams_per_account)
    tracing = start_tracing(settings, "sfumato-server", database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        background.start()
        yield
        streams.close()
        background.stop()
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
    app.state.transfers = background.transfers
    app.state.maps = background.maps
    app.state.seen = background.seen
    app.state.metrics = Metrics(database, settings)
    app.state.writer_gate = Gate(database.writers)
    app.state.decoding_gate = Gate(settings.decodings_at_once)
    app.state.upload_gates = GateEach(settings.uploads_per_account)
    app.state.streams = streams
    app.state.rates = Rates(settings)
    problems.install(app)
    provider_sessions.install(app, settings)
    for resource in (
        health,
        metrics,
        sessions,
        provider_sessions,
        accounts,
        identities,
        audit,
        projects,
        cases,
        exports,
        imports,
        transfers,
        hooks,
        slices,
        query,
        masks,
        members,
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
    app.add_middleware(RequestRates, rates=app.state.rates)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(FromWhere, key=partial(_address_key, database))
    app.add_middleware(RequestRecord, metrics=app.state.metrics)
    return app


def _address_key(database: Database) -> bytes | None:
    with database.reading() as session:
        return known_address_key(session)
