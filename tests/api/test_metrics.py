"""What Prometheus is served, whom it is for, and what it costs whoever asks."""

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from app.main import create_app
from app.settings import Settings
from app.store import Database, Role
from tests.conftest import RecordingDispatcher, mask, problem_of

TOKEN = "of-the-monitoring-system"


def samples_of(text: str) -> dict:
    """Every sample by its name and labels."""
    return {
        (one.name, *sorted(one.labels.items())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def scrape(client, token=TOKEN) -> dict:
    reply = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/plain; version=")
    return samples_of(reply.text)


@pytest.fixture
def watched(api):
    """The same application as ``api``'s as another process of it; nothing is shown twice."""
    settings = api.settings.model_copy(update={"metrics_seconds": 0})
    settings = Settings.model_validate({**settings.model_dump(), "metrics_token": TOKEN})
    with TestClient(create_app(settings, api.database, RecordingDispatcher())) as client:
        yield client


def test_projects_are_for_admins_and_for_who_knows_the_settings_token(api, watched):
    api.project()
    for path in (api.client, watched):
        shown = path.get("/metrics")
        assert shown.status_code == 200
        assert "sfumato_http_requests" in shown.text
        assert "brain" not in shown.text
    assert "brain" in watched.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    for wrong in ("sfu_1_wrong", TOKEN + "x", "\u00e9"):
        refused = watched.get("/metrics", headers={b"Authorization": f"Bearer {wrong}".encode()})
        assert refused.status_code == 401
    # Without the setting there is no other token than an admin's.
    assert api.client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == (
        401
    )
    assert api.as_("ann").get("/metrics").status_code == 403
    assert api.as_("root", Role.ADMIN).get("/metrics").status_code == 200
    assert scrape(watched)


def test_an_installation_may_leave_it_open(api):
    settings = api.settings.model_copy(update={"metrics_open": True})
    app = create_app(settings, api.database, RecordingDispatcher())
    api.project()
    assert "brain" in TestClient(app).get("/metrics").text


def test_requests_are_counted_by_route_and_status_never_by_what_was_asked_for(watched):
    for path in ("/health/live", "/nobody/7", "/nobody/8", "/slices/7/image", "/slices/8/image"):
        watched.get(path)
    for method in ("BREW", "WHEN"):
        watched.request(method, "/health/live")
    found = scrape(watched)
    routes = {dict(labels)["route"] for name, *labels in found if name.startswith("sfumato_http_r")}
    assert routes <= {"/health/live", "/slices/{slice_id}/image", "(none)"}
    methods = {dict(one)["method"] for name, *one in found if name.startswith("sfumato_http_req")}
    assert methods == {"GET", "other"}
    live = (("method", "GET"), ("route", "/health/live"), ("status", "200"))
    assert found["sfumato_http_requests_total", *live] == 1
    assert found["sfumato_http_request_seconds_count", *live] == 1
    assert found[("sfumato_http_open_requests",)] == 1
    assert found[("process_resident_memory_bytes",)] > 0


def test_the_installation_is_shown_as_it_is(api, watched):
    api.project()
    ann = api.as_("ann")
    first = ann.get("/query/next", params={"size": 2}).json()["items"][0]["slice"]
    assert ann.post(f"/slices/{first}/masks", content=mask()).status_code == 201
    found = scrape(watched)
    brain = ("project", "brain")
    assert found["sfumato_round_asked", brain] == 4
    assert found["sfumato_round_answered", brain] == 1
    assert found["sfumato_leases", brain] == found["sfumato_leases_of_one", brain] == 1
    assert found["sfumato_jobs", ("queue", "train"), ("state", "queued")] == 0
    assert found["sfumato_workers", ("queue", "train")] == 0
    assert found["sfumato_retraining_failed", brain] == 0
    assert found[("sfumato_projects",)] == found[("sfumato_database_up",)] == 1
    assert found[("sfumato_disk_size_bytes",)] > found[("sfumato_disk_free_bytes",)] > 0


def statements(database, act) -> int:
    seen = []

    def note(*_: object) -> None:
        seen.append(1)

    event.listen(database.engine, "before_cursor_execute", note)
    act()
    event.remove(database.engine, "before_cursor_execute", note)
    return len(seen)


def test_what_was_read_serves_everybody_for_a_while_and_does_not_grow_with_projects(api, watched):
    api.settings.metrics_token = Settings(metrics_token=TOKEN).metrics_token
    scrape(watched)  # connects
    first = statements(api.database, lambda: scrape(watched))
    assert first > 0
    for number in range(12):
        root = api.as_("root", Role.ADMIN)
        assert root.post("/projects", json={"name": f"p{number}"}).status_code == 201
    assert statements(api.database, lambda: scrape(watched)) == first
    scrape(api.client)
    assert statements(api.database, lambda: scrape(api.client)) == 0


def test_while_the_database_is_away_the_process_still_answers(tmp_path):
    url = "postgresql+psycopg://nobody@127.0.0.1:9/none"
    settings = Settings(data=tmp_path / "none", database_url=url, metrics_token=TOKEN)
    client = TestClient(create_app(settings, Database(url), RecordingDispatcher()))
    found = scrape(client)
    assert found[("sfumato_database_up",)] == 0
    assert not [name for name, *_ in found if name.startswith("sfumato_jobs")]
    assert found[("sfumato_disk_free_bytes",)] > 0
    # An admin's token cannot be looked up: it is neither right nor wrong.
    asked = client.get("/metrics", headers={"Authorization": "Bearer sfu_1_x"})
    assert problem_of(asked)["status"] == 503


def test_guessing_tokens_here_counts_as_it_does_everywhere(api):
    settings = api.settings.model_copy(update={"failed_tokens_per_minute": 3})
    client = TestClient(create_app(settings, api.database, RecordingDispatcher()))
    tried = [
        client.get("/metrics", headers={"Authorization": f"Bearer sfu_1_{n}"}).status_code
        for n in range(5)
    ]
    assert tried == [401, 401, 401, 429, 429]
    other = client.get("/projects", headers={"Authorization": "Bearer sfu_1_x"})
    assert other.status_code == 429


def test_open_figures_make_no_token_good(api):
    settings = api.settings.model_copy(update={"failed_tokens_per_minute": 2, "metrics_open": True})
    client = TestClient(create_app(settings, api.database, RecordingDispatcher()))
    tried = []
    for number in range(4):
        wrong = {"Authorization": f"Bearer sfu_1_{number}"}
        assert client.get("/metrics", headers=wrong).status_code == 200
        tried.append(client.get("/projects", headers=wrong).status_code)
    assert tried == [401, 401, 429, 429]
