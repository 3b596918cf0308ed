"""What is kept of imports and exports, for how long, and what a deletion takes of it."""

import io
import os
import time
import zipfile
from datetime import timedelta

from app.core.liveness import Silence
from app.loop import transfers
from app.store import JobState, Role, utc_now
from app.transfers.swept import sweep
from tests.api.test_people import post, take
from tests.conftest import mask
from tests.importing.test_over_http import pictures, until_ended


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
    sweep(api.database, api.settings, Silence(60))
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
    assert admin.get(f"/transfers/{number}").json()["archive"]
    assert admin.delete("/projects/new/cases/a", params={"confirm": "a"}).status_code == 200
    assert admin.get(f"/transfers/{number}/archive").status_code == 404
    assert not admin.get(f"/transfers/{number}").json()["archive"]
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


def test_who_fetches_an_archive_stands_in_the_audit(api):
    admin = api.as_("root", Role.ADMIN)
    where = {"layout": "png", "filename": "a.zip"}
    admin.post("/projects/new/imports", params=where, content=pictures())
    made = admin.get("/projects/new/slices").json()["items"][0]["id"]
    admin.post(f"/slices/{made}/masks", content=mask())
    number = admin.post("/projects/new/exports", params={"format": "png"}).json()["id"]
    until_ended(admin, number)
    fetched = admin.get(f"/transfers/{number}/archive")
    assert fetched.status_code == 200, fetched.text
    told = admin.get("/projects/new/events", params={"limit": 200}).json()["items"]
    [fetched] = [one for one in told if one["action"] == "export.fetched"]
    assert (fetched["by"], fetched["detail"]["transfer"]) == ("root", number)


def test_what_a_command_exported_is_no_archive_to_fetch(api, tmp_path, monkeypatch):
    (tmp_path / "archive.zip").write_bytes(b"somebody's")
    monkeypatch.chdir(tmp_path)
    admin = api.as_("root", Role.ADMIN)
    with api.database.writing() as session:
        asked = transfers.ask(session, "export", "p", "png", {}, None)
        asked.state = JobState.SUCCEEDED
    assert admin.get(f"/transfers/{asked.id}/archive").status_code == 404


def test_what_nobody_has_the_bytes_of_is_given_up(api):
    with api.database.writing() as session:
        for age in (0, 2):
            asked = transfers.ask(session, "import", "p", "png", {}, None, "/not/of/this/server")
            asked.created_at = utc_now() - timedelta(hours=age)
    sweep(api.database, api.settings, Silence(60))
    listed = api.as_("root", Role.ADMIN).get("/projects/p/transfers").json()["items"]
    assert [one["state"] for one in listed] == ["failed", "queued"]
