"""Imports over HTTP: checked, in the background, watched, cancelled, and gone on with."""

import json
import threading
import time

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.importing import ImportOptions, ImportStopped, Progress
from app.loop import transfers
from app.main import create_app
from app.store import Case, JobState, Role, Transfer, utc_now
from tests.api.test_archives import archive
from tests.conftest import picture, problem_of

# Of a server that soon finds what another left, and shows often enough that it lives itself.
QUICK = {"sweep_seconds": 0.1, "stale_seconds": 2.0, "heartbeat_seconds": 0.1}


def pictures() -> bytes:
    return archive(**{f"images/a/{n}.png": picture(seed=n) for n in range(3)})


def until_ended(client, transfer: int) -> dict:
    for _ in range(600):
        seen = client.get(f"/transfers/{transfer}").json()
        if seen["state"] not in ("queued", "running"):
            return seen
        time.sleep(0.05)
    raise AssertionError(seen)


def test_an_import_in_the_background_is_watched_to_its_end(api):
    admin = api.as_("root", Role.ADMIN)
    where = {"layout": "png", "background": True}
    asked = admin.post("/projects/new/imports", params=where, content=pictures())
    assert asked.status_code == 202, asked.text
    number = asked.json()["id"]
    with admin.stream("GET", f"/transfers/{number}/events") as stream:
        sent = [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]
    assert sent[-1]["state"] == "succeeded"
    assert sent[-1]["report"]["new_slices"] == 3
    assert sent[-1]["report"]["taken"][0]["name"] == "a"
    listed = admin.get("/projects/new/transfers").json()["items"]
    assert [(t["id"], t["kind"], t["created_by"]) for t in listed] == [(number, "import", "root")]
    assert "taken" not in listed[0]["report"]
    # What was uploaded is gone.
    assert list(api.settings.transfers_folder.iterdir()) == []
    for path in (f"/transfers/{number}", "/projects/new/transfers"):
        assert api.as_("ann").get(path).status_code == 403
    assert admin.get("/transfers/999").status_code == 404
    assert admin.post(f"/transfers/{number}/cancel").status_code == 409


def test_a_check_over_http_makes_no_project(api):
    admin = api.as_("root", Role.ADMIN)
    where = {"layout": "png", "check": True}
    report = admin.post("/projects/new/imports", params=where, content=pictures()).json()
    assert (report["checked"], report["cases"], report["new_slices"]) == (True, 1, 3)
    assert admin.get("/projects").json()["items"] == []


def test_what_fails_in_the_background_says_why(api):
    admin = api.as_("root", Role.ADMIN)
    where = {"layout": "nifti", "background": True}
    asked = admin.post("/projects/new/imports", params=where, content=pictures()).json()
    ended = until_ended(admin, asked["id"])
    assert ended["state"] == "failed"
    assert "NIfTI" in ended["error"]
    assert str(api.settings.data) not in ended["error"]
    unknown = admin.post("/projects/new/imports", params={"layout": "x"}, content=pictures())
    assert "layout" in problem_of(unknown)["detail"]


def test_an_archive_without_a_name_of_its_own_is_called_by_its_file_or_its_bytes(api):
    admin = api.as_("root", Role.ADMIN)
    where = {"layout": "png", "check": True}
    # A README and macOS's own beside the one folder are passed over.
    packed = archive(
        **{
            "README.md": b"hello",
            "__MACOSX/set/._0.png": b"x",
            "set/images/a/0.png": picture(),
            "set/images/a/._0.png": b"x",
        }
    )
    assert admin.post("/projects/p/imports", params=where, content=packed).json()["cases"] == 1


def test_an_import_can_be_cancelled_while_it_waits(api):
    admin = api.as_("root", Role.ADMIN)
    with api.database.writing() as session:
        waiting = transfers.ask(session, "import", "p", "png", {}, None, "/not/of/this/server")
    cancelled = admin.post(f"/transfers/{waiting.id}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")


def test_what_an_ended_server_had_begun_goes_on_with_the_next(api):
    admin = api.as_("root", Role.ADMIN)
    folder = api.settings.transfers_folder / "there"
    folder.mkdir(parents=True)
    (folder / "upload.zip").write_bytes(pictures())
    with api.database.writing() as session:
        asked = transfers.ask(session, "import", "p", "png", {"name": "x"}, None, str(folder))
        # As a server leaves it that is killed: running, with a heartbeat of long ago.
        asked.state, asked.attempt = JobState.RUNNING, 1
        asked.heartbeat_at = utc_now().replace(year=2020)
        by_command = transfers.ask(session, "import", "p", "png", {}, None)
        by_command.state, by_command.heartbeat_at = JobState.RUNNING, asked.heartbeat_at
    settings = api.settings.model_copy(update=QUICK)
    app = create_app(settings, api.database, api.dispatcher)
    with TestClient(app):
        assert until_ended(admin, asked.id)["state"] == "succeeded"
    with api.database.reading() as session:
        assert session.scalar(select(Case.name)) == "a"
        assert "give it again" in session.get_one(Transfer, by_command.id).error


def test_a_server_that_ends_puts_back_what_it_is_at(api, monkeypatch):
    from app.transfers import runner

    admin = api.as_("root", Role.ADMIN)
    entered = []

    def slow(database, layout, root, project, options, watch):
        entered.append(1)
        for _ in range(400):
            time.sleep(0.02)
            watch(runner.Progress(0, 1, 0, "a"))
        raise AssertionError("nobody stopped it")

    with monkeypatch.context() as patched:
        patched.setattr(runner, "import_folder", slow)
        where = {"layout": "png", "background": True}
        asked = admin.post("/projects/p/imports", params=where, content=pictures()).json()
        while not entered:
            time.sleep(0.02)
        api.client.app.state.transfers.stop()
    assert admin.get(f"/transfers/{asked['id']}").json()["state"] == "queued"
    with TestClient(create_app(api.settings, api.database, api.dispatcher)):
        assert until_ended(admin, asked["id"])["report"]["new_slices"] == 3


def test_who_waits_for_an_import_is_told_that_it_goes_on_elsewhere(api, monkeypatch):
    from app.transfers import runner

    admin = api.as_("root", Role.ADMIN)
    entered = threading.Event()

    def slow(database, layout, root, project, options, watch):
        entered.set()
        while True:
            time.sleep(0.02)
            watch(runner.Progress(0, 1, 0, "a"))

    monkeypatch.setattr(runner, "import_folder", slow)
    replies = []
    where = {"layout": "png"}
    waiting = threading.Thread(
        target=lambda: replies.append(
            admin.post("/projects/p/imports", params=where, content=pictures())
        )
    )
    waiting.start()
    assert entered.wait(20)
    api.client.app.state.transfers.stop()
    waiting.join(20)
    assert (replies[0].status_code, replies[0].json()["state"]) == (202, "queued")


def test_an_import_that_runs_can_be_cancelled(api, monkeypatch):
    from app.transfers import runner

    admin = api.as_("root", Role.ADMIN)

    def endless(database, layout, root, project, options, watch):
        while True:
            time.sleep(0.02)
            watch(runner.Progress(0, 1, 0, "a"))

    monkeypatch.setattr(runner, "import_folder", endless)
    api.client.app.state.transfers._settings = api.settings.model_copy(
        update={"heartbeat_seconds": 0.05}
    )
    where = {"layout": "png", "background": True}
    asked = admin.post("/projects/p/imports", params=where, content=pictures()).json()
    assert admin.post(f"/transfers/{asked['id']}/cancel").status_code == 202
    assert until_ended(admin, asked["id"])["state"] == "cancelled"
    for _ in range(100):
        if not list(api.settings.transfers_folder.iterdir()):
            break
        time.sleep(0.05)
    assert list(api.settings.transfers_folder.iterdir()) == []


@pytest.mark.parametrize("name", ["..%2Fx", "a%2Fb", "x" * 65, "%20", "a%00b"])
def test_a_project_of_an_impossible_name_is_refused_before_anything_is_read(api, name):
    admin = api.as_("root", Role.ADMIN)
    reply = admin.post(
        f"/projects/{name}/imports",
        params={"layout": "png"},
        content=pictures(),
    )
    assert reply.status_code in (404, 422)
    assert not api.settings.transfers_folder.exists()


def test_a_command_that_is_cancelled_from_the_page_ends_in_words(api, tmp_path, monkeypatch):
    from app.transfers import recorded, terminal

    (tmp_path / "set" / "images" / "a").mkdir(parents=True)
    (tmp_path / "set" / "images" / "a" / "0.png").write_bytes(picture())
    admin = api.as_("root", Role.ADMIN)

    def slow(database, layout, path, project, options, watch):
        (asked,) = admin.get("/projects/p/transfers").json()["items"]
        assert admin.post(f"/transfers/{asked['id']}/cancel").status_code == 202
        while True:
            time.sleep(0.02)
            watch(Progress(0, 1, 0, "a"))

    monkeypatch.setattr(terminal, "import_folder", slow)
    monkeypatch.setattr(recorded, "_BEAT_SECONDS", 0.05)
    with pytest.raises(ImportStopped, match="what was done by then stays"):
        terminal.import_data_set(api.database, "png", tmp_path / "set", "p", ImportOptions())
    (asked,) = admin.get("/projects/p/transfers").json()["items"]
    assert asked["state"] == "cancelled"


def test_a_database_that_is_away_for_long_loses_no_upload(api, monkeypatch):
    from app.transfers import runner

    admin = api.as_("root", Role.ADMIN)
    begun = threading.Event()
    with monkeypatch.context() as patched:

        def away(*arguments):
            begun.set()
            raise OperationalError("SELECT", {}, Exception("server closed the connection"))

        patched.setattr(runner, "import_folder", away)
        where = {"layout": "png", "background": True}
        asked = admin.post("/projects/p/imports", params=where, content=pictures()).json()
        assert begun.wait(20)
        api.client.app.state.transfers.stop()
    with api.database.writing() as session:
        # As it is found later: nobody shows that it goes on.
        left = session.get_one(Transfer, asked["id"])
        assert left.state is JobState.RUNNING
        left.heartbeat_at = utc_now().replace(year=2020)
    settings = api.settings.model_copy(update=QUICK)
    with TestClient(create_app(settings, api.database, api.dispatcher)):
        assert until_ended(admin, asked["id"])["report"]["new_slices"] == 3
