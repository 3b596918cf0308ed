"""Traces reach a collector, tell nothing of patients, and cost nothing where nobody wants them."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.core.errors import CannotLoad
from app.loop import claims
from app.main import create_app
from app.observing.tracing import start_tracing
from app.settings import Settings
from app.store import Job, JobState, Role
from tests.conftest import RecordingDispatcher
from tests.loop.test_leases import make_pool
from worker.runner import Runner

TRACED = Settings(tracing=True, metrics_open=True)


class Collector:
    """What was sent to it, as OpenTelemetry's own messages."""

    def __init__(self) -> None:
        self.sent: list[ExportTraceServiceRequest] = []

    @property
    def spans(self) -> list:
        return [
            span
            for message in self.sent
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def services(self) -> set[str]:
        return {
            attribute.value.string_value
            for message in self.sent
            for resource in message.resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        }

    def named(self, name: str):
        [found] = [span for span in self.spans if span.name == name]
        return found


def values_of(span) -> dict[str, str | int]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@pytest.fixture
def collector(monkeypatch):
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            found.sent.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield found
        server.shutdown()
        thread.join()


def test_a_request_is_a_span_with_its_statements_and_no_name_of_anybody(api, collector):
    api.project()
    token = api.token("dr-house", Role.ADMIN)
    with TestClient(create_app(TRACED, api.database, RecordingDispatcher())) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/projects/brain/progress?case=mrs-smith").status_code == 200
    request = collector.named("GET /projects/{name}/progress")
    assert values_of(request)["http.response.status_code"] == 200
    statements = [span for span in collector.spans if "db.statement" in values_of(span)]
    assert any("FROM projects" in values_of(one)["db.statement"] for one in statements)
    assert {one.trace_id for one in statements} == {request.trace_id}
    sent = b"".join(message.SerializeToString() for message in collector.sent)
    for name in (b"brain", b"dr-house", b"mrs-smith", token.encode()):
        assert name not in sent
    assert collector.services == {"sfumato-server"}


def test_a_workers_step_is_a_span_and_says_how_it_failed_but_not_in_words(
    database, collector, monkeypatch
):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gpu-7")
    project = make_pool(database, slices=1)
    with database.writing() as session:
        session.add(Job(project_id=project.id, kind="retrain", queue="train", step="train"))
    tracing = start_tracing(TRACED, "sfumato-worker", database)
    runner = Runner(database, RecordingDispatcher(), TRACED, claims.QUEUES, "w", tracing)
    assert runner.work() == 1
    tracing.stop()
    with database.reading() as session:
        job = session.query(Job).one()
        assert (job.state, "'p'" in job.error) == (JobState.FAILED, True)
    step = collector.named("step train")
    assert values_of(step) == {
        "sfumato.job": job.id,
        "sfumato.attempt": 1,
        "sfumato.project": project.id,
        "error.type": "NothingLabelled",
    }
    # What the runner itself asks of the database, outside of any step, is not sent.
    assert {span.trace_id for span in collector.spans} == {step.trace_id}
    assert len(collector.spans) > 1
    assert b"no labelled slice" not in collector.sent[0].SerializeToString()
    assert collector.services == {"gpu-7"}


def test_without_the_extra_a_line_says_what_to_install(sqlite_database, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, "app.observing.spans", raising=False)
    monkeypatch.delattr("app.observing.spans", raising=False)
    with pytest.raises(CannotLoad, match=r"pip install 'sfumato\[otel\]'"):
        start_tracing(TRACED, "sfumato-server", sqlite_database)


def test_a_plain_install_needs_none_of_it():
    # Elsewhere than in ours they may be looked for: Redis' client takes them where they are.
    code = (
        "import sys; "
        "parts = ('sdk', 'exporter', 'instrumentation'); "
        "sys.modules.update({f'opentelemetry.{part}': None for part in parts}); "
        "import app.main, app.settings, worker.tasks; "
        "app.main.create_app(app.settings.Settings(tracing=False)); "
        "sys.exit('app.observing.spans' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
