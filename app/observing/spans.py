"""OpenTelemetry's side of tracing: imported only where `sfumato[otel]` is installed and wanted."""

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

from app.store import Database

# Names of projects, cases and accounts stand in addresses; the route's template says enough.
_HIDDEN = ("url.path", "url.query")


class _Discreet(BatchSpanProcessor):
    """Sends spans in batches: without addresses, and without statements that belong to nothing."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for name in _HIDDEN:
            if name in (span.attributes or {}):
                span.set_attribute(name, "(hidden)")
        super().on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        # Sweeps and heartbeats ask every few seconds: a trace of one statement tells nothing.
        if span.parent is None and span.kind is SpanKind.CLIENT:
            return
        super().on_end(span)


def start(service: str, database: Database) -> TracerProvider:
    """A source of spans that go to the collector, the database's among them."""
    named = Resource({"service.name": service}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=Resource.create().merge(named))
    provider.add_span_processor(_Discreet(OTLPSpanExporter()))
    SQLAlchemyInstrumentor().instrument(
        engine=database.engine,
        tracer_provider=provider,
        # It declares SQLAlchemy before 2.1; a test holds it to ours.
        skip_dep_check=True,
    )
    return provider


def stop(provider: TracerProvider) -> None:
    """Send what is left, and leave the database alone."""
    SQLAlchemyInstrumentor().uninstrument()
    provider.shutdown()
