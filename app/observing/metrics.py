"""The metrics of one server process: its requests, its memory and files, and its installation.

Several processes are scraped one by one, and each shows what it alone knows (``sfumato_http_…``,
``sfumato_disk_…``, ``process_…``). What is read from the database (all else) is the same from each:
who adds it up counts twice, so rules and dashboards take its maximum.
"""

import time
from functools import partial
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from sqlalchemy import text

from app.loop.figures import figures
from app.observing.glance import Glance
from app.observing.installation import Installation, Projects, Seen
from app.settings import Settings
from app.store import Database, database_now

# Any other word in their place is "other": a label must not grow by what strangers send.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# Prometheus waits ten seconds for an answer unless told otherwise.
_PATIENCE = 5.0


class Metrics:
    """Counts the requests of this process; shows them with all else in registries of its own."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "sfumato_http_requests",
            "Requests by route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "sfumato_http_request_seconds",
            "Seconds until the response began, by route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._open = Gauge(
            "sfumato_http_open_requests",
            "Requests that are being answered, event streams among them.",
            registry=self.registry,
        )
        Info("sfumato_build", "The version of Sfumato.", registry=self.registry).info(
            {"version": version("sfumato")}
        )
        for collect in (ProcessCollector, PlatformCollector, GCCollector):
            collect(registry=self.registry)
        seen = Glance(partial(_look, database), settings.metrics_seconds, _PATIENCE)
        self.registry.register(Installation(seen, settings.data))
        self._projects = CollectorRegistry()
        self._projects.register(Projects(seen))

    def begun(self) -> None:
        """A request has come."""
        self._open.inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Its response has begun. ``route`` is a template: ids in a label would have no end."""
        labels = (method if method in _METHODS else "other", route, str(status))
        self._requests.labels(*labels).inc()
        self._seconds.labels(*labels).observe(seconds)

    def ended(self) -> None:
        """The last byte is out, or whoever asked is gone."""
        self._open.dec()

    def text(self, with_projects: bool) -> bytes:
        """In Prometheus' text format; figures of projects, which name them, if they are wanted."""
        projects = generate_latest(self._projects) if with_projects else b""
        return generate_latest(self.registry) + projects


def _look(database: Database) -> Seen:
    started = time.perf_counter()
    with database.reading() as session:
        if session.get_bind().dialect.name == "postgresql":
            # Nobody waits longer for it, so the database need not go on either.
            session.execute(text(f"SET LOCAL statement_timeout = {round(1000 * _PATIENCE)}"))
        found = figures(session, database_now(session))
    return Seen(found, time.perf_counter() - started)
