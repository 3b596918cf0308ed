"""Traces for OpenTelemetry: requests, the statements in them, and workers' steps.

The libraries come with ``sfumato[otel]`` and are imported only where tracing is on. Where spans go
is said by OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_ENDPOINT`` …), which its SDK reads.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from app.core.errors import CannotLoad
from app.settings import Settings
from app.store import Database

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


class Tracing(Protocol):
    """Whatever keeps account of what is done and how long it takes."""

    @property
    def provider(self) -> "TracerProvider | None":
        """Where requests take their spans from, if anybody wants them."""

    def span(self, name: str, **attributes: str | int) -> AbstractContextManager[None]:
        """A piece of work, with what is worth knowing of it: numbers and names of ours only."""

    def stop(self) -> None:
        """Send what is left."""


class NoTracing:
    """Nobody wants to know."""

    provider = None

    def span(self, name: str, **attributes: str | int) -> AbstractContextManager[None]:
        """Nothing is noted."""
        return nullcontext()

    def stop(self) -> None:
        """Nothing is left."""


def start_tracing(settings: Settings, service: str, database: Database) -> Tracing:
    """Tracing as the settings want it. ``service``: what this process is called, unless
    ``OTEL_SERVICE_NAME`` says otherwise. Raises ``CannotLoad`` where libraries are missing.
    """
    if not settings.tracing:
        return NoTracing()
    try:
        from app.observing import spans
    except ImportError as error:
        raise CannotLoad(
            f"SFUMATO_TRACING is on, but {error.name or 'its library'} is not installed: "
            "run pip install 'sfumato[otel]', or turn it off"
        ) from error
    return _Sent(spans.start(service, database))


class _Sent:
    """To a collector."""

    def __init__(self, provider: "TracerProvider") -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("sfumato")

    @contextmanager
    def span(self, name: str, **attributes: str | int) -> Iterator[None]:
        """Of an error only its kind is sent: its words may hold what people wrote."""
        from opentelemetry.trace import StatusCode

        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def stop(self) -> None:
        from app.observing import spans

        spans.stop(self.provider)
