"""Imports over HTTP: checked, in the background, watched, cancelled, and gone on with."""

import io
import json
import os
import time
import zipfile
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.importing import ImportOptions, ImportStopped, Progress
from app.loop import transfers
from app.main import create_app
from app.store import Case, JobState, Role, Transfer, utc_now
from tests.api.test_archives import archive
from tests.api.test_people import post, take
from tests.conftest import mask, picture, problem_of


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
    settings = api.settings.model_copy(update={"sweep_seconds": 0.1})
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


def test_an_export_in_the_background_is_fetched_when_it_is_done(api):
    admin = api.project()
    ann = api.as_("ann")
    post(ann, take(ann)[0]["slice"])
    asked = admin.post("/projects/brain/exports", params={"format": "png", "licence": "CC0"})
    assert asked.status_code == 202, asked.text
    number = asked.json()["id"]
    ended = until_ended(admin, number)
    assert (ended["state"], ended["report"]["cases"], ended["kind"]) == ("succeeded", 1, "export")
    with zipfile.ZipFile(io.BytesIO(admin.get(f"/transfers/{number}/archive").content)) as opened:
        assert "brain/croissant.json" in opened.namelist()
    unknown = admin.post("/projects/brain/exports", params={"format": "jpeg"})
    assert unknown.status_code == 422
    nothing = admin.post("/projects/brain/exports", params={"only": "accepted"}).json()["id"]
    ended = until_ended(admin, nothing)
    assert "no labelled slice of those" in ended["error"]
    assert admin.get(f"/transfers/{nothing}/archive").status_code == 404
    # With the project its reports and archives go.
    assert admin.delete("/projects/brain", params={"confirm": "brain"}).status_code == 200
    assert admin.get(f"/transfers/{number}").status_code == 404


def test_a_case_that_is_deleted_leaves_the_reports_too(api):
    admin = api.as_("root", Role.ADMIN)
    admin.post("/projects/new/imports", params={"layout": "png"}, content=pictures())
    assert admin.delete("/projects/new/cases/a", params={"confirm": "a"}).status_code == 200
    (listed,) = admin.get("/projects/new/transfers").json()["items"]
    assert admin.get(f"/transfers/{listed['id']}").json()["report"]["taken"] == []


def test_what_lies_on_disk_goes_when_nobody_needs_it(api):
    from app.transfers.runner import sweep

    root = api.settings.transfers_folder
    ages = {"uploading": 60, "given-up": 3600, "export": 3600, "export-old": 100_000, "exported": 9}
    for name, age in ages.items():
        (root / name).mkdir(parents=True)
        file = root / name / ("archive.zip" if "export" in name else "upload.zip")
        file.write_bytes(b"x")
        then = time.time() - age
        for path in (file, root / name):
            os.utime(path, (then, then))
    with api.database.writing() as session:
        for name in ("export", "export-old"):
            asked = transfers.ask(session, "export", "p", "png", {}, None, str(root / name))
            asked.state = JobState.SUCCEEDED
    sweep(api.database, api.settings)
    assert {folder.name for folder in root.iterdir()} == {"uploading", "export"}


def test_what_is_deleted_leaves_no_trace_in_imports_and_exports(api):
    admin = api.as_("root", Role.ADMIN)
    where = {"layout": "png", "filename": "a.zip"}
    admin.post("/projects/new/imports", params=where, content=pictures())
    made = admin.get("/projects/new/slices").json()["items"][0]["id"]
    admin.post(f"/slices/{made}/masks", content=mask())
    number = admin.post("/projects/new/exports", params={"format": "png"}).json()["id"]
    until_ended(admin, number)
    with api.database.writing() as session:
        failed = transfers.ask(session, "import", "new", "png", {}, None)
        failed.state = JobState.FAILED
        failed.error = "the labels of case 'a' go up to 3: a case is left out"
        failed.progress = {"case": "a", "cases": 0}
        failed.report = {
            "found": "a folder",
            "left_out": {"a/x.png": "bad", "a.txt": "bad", "ab.png": "a file"},
            "warnings": {"a": ["bad"], "b": ["like 'a'"]},
        }
    assert admin.delete("/projects/new/cases/a", params={"confirm": "a"}).status_code == 200
    assert admin.get(f"/transfers/{number}/archive").status_code == 404
    kept = admin.get(f"/transfers/{failed.id}").json()
    assert kept["report"] == {
        "found": "a folder",
        "left_out": {"ab.png": "a file"},
        "warnings": {"b": ["like '(deleted)'"]},
    }
    assert kept["error"] == "the labels of case '(deleted)' go up to 3: a case is left out"
    assert kept["progress"]["case"] == "(deleted)"
    for one in admin.get("/projects/new/transfers").json()["items"]:
        assert one["options"].get("name") in (None, "(deleted)")


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


def test_what_a_command_exported_is_no_archive_to_fetch(api, tmp_path, monkeypatch):
    (tmp_path / "archive.zip").write_bytes(b"somebody's")
    monkeypatch.chdir(tmp_path)
    admin = api.as_("root", Role.ADMIN)
    with api.database.writing() as session:
        asked = transfers.ask(session, "export", "p", "png", {}, None)
        asked.state = JobState.SUCCEEDED
    assert admin.get(f"/transfers/{asked.id}/archive").status_code == 404


def test_what_nobody_has_the_bytes_of_is_given_up(api):
    from app.transfers.runner import sweep

    with api.database.writing() as session:
        for age in (0, 2):
            asked = transfers.ask(session, "import", "p", "png", {}, None, "/not/of/this/server")
            asked.created_at = utc_now() - timedelta(hours=age)
    sweep(api.database, api.settings)
    listed = api.as_("root", Role.ADMIN).get("/projects/p/transfers").json()["items"]
    assert [one["state"] for one in listed] == ["failed", "queued"]
