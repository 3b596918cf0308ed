"""Projects are renamed and archived: what follows, what stays as it was, what is refused."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from app.core.errors import ProjectArchived
from app.importing import ImportOptions
from app.importing.plan import make_plan
from app.loop import checkpoints, claims, transfers
from app.loop.access import HERE
from app.loop.claims import ClaimLost
from app.loop.projects import find_project
from app.store import (
    Base,
    Event,
    Hook,
    HookEvent,
    Job,
    JobKind,
    JobState,
    Lease,
    Project,
    Role,
    Transfer,
    TransferKind,
    utc_now,
)
from tests.api.test_roles import (
    ANYBODY,
    INSTALLATION,
    NOBODY,
    TABLE,
    Study,
    ask,
    client,
    make_study,
    member,
)
from tests.conftest import mask, problem_of

# What may be done with an archived project beside reading: exported, deleted from, decided on who
# may read it, brought back. Everything else that is no GET is refused, a new route too.
NO_CHANGE = {
    ("PATCH", "/projects/{name}"),  # refuses what it may not change: a test of its own
    ("POST", "/projects/{name}/exports"),
    ("POST", "/transfers/{transfer_id}/cancel"),
    ("POST", "/tokens"),
    ("DELETE", "/tokens/{token_id}"),
    ("PUT", "/projects/{name}/members/{account}"),
    ("DELETE", "/projects/{name}/members/{account}"),
    ("DELETE", "/projects/{name}/hooks/{hook_id}"),
    ("DELETE", "/projects/{name}"),
    ("DELETE", "/projects/{name}/cases/{case}"),
    ("DELETE", "/slices/{slice_id}"),
}
# Reads in form alone.
CHANGES = {("GET", "/query/next")}


def rows_of(api) -> dict[str, list[Any]]:
    """Everything that is kept, but the audit of who looked."""
    kept = {}
    with api.database.reading() as session:
        for table in Base.metadata.sorted_tables:
            if table.name not in ("events", "installation"):
                order = [*table.primary_key.columns]
                kept[table.name] = session.execute(select(table).order_by(*order)).all()
    return kept


def archive(who, name: str, archived: bool = True):
    return who.patch(f"/projects/{name}", json={"archived": archived})


def test_every_route_that_changes_an_archived_project_is_refused(api):
    study = make_study(api, "home")
    root = api.as_("root", Role.ADMIN)
    assert archive(root, "home").status_code == 200
    before = rows_of(api)
    for (method, path), row in TABLE.items():
        if row.least in (NOBODY, ANYBODY, INSTALLATION):
            continue
        route = (method, path)
        if route in NO_CHANGE or (method == "GET" and route not in CHANGES):
            continue
        refused = problem_of(ask(root, route, study))
        assert refused["status"] == 409, (route, refused)
        assert "archived" in refused["detail"], (route, refused)
        assert rows_of(api) == before, route


def test_an_archived_project_is_read_as_before(api):
    study = make_study(api, "home")
    root = api.as_("root", Role.ADMIN)
    gets = [route for route in TABLE if route[0] == "GET" and route not in CHANGES]
    first = {route: ask(root, route, study).status_code for route in gets}
    archive(root, "home")
    before = rows_of(api)
    assert {route: ask(root, route, study).status_code for route in gets} == first
    assert rows_of(api) == before


@pytest.mark.parametrize(
    "change", [{}, {"query": {"size": 3}}, {"training": {"width": 4}}, {"name": "other"}]
)
def test_its_settings_and_name_stay(api, change):
    make_study(api, "home")
    root = api.as_("root", Role.ADMIN)
    archive(root, "home")
    before = rows_of(api)
    assert problem_of(root.patch("/projects/home", json=change))["status"] == 409
    assert rows_of(api) == before


def test_archiving_comes_alone(api):
    make_study(api, "home")
    root = api.as_("root", Role.ADMIN)
    both = {"archived": True, "query": {"size": 3}}
    assert "by itself" in problem_of(root.patch("/projects/home", json=both))["detail"]


def test_what_may_be_done_with_an_archived_project(api):
    study = make_study(api, "home")
    root = api.as_("root", Role.ADMIN)
    archive(root, "home")
    # The export that it was made with has ended.
    with api.database.writing() as session:
        session.execute(update(Transfer).values(state=JobState.QUEUED))
    for route in sorted(NO_CHANGE - {("PATCH", "/projects/{name}")}):
        assert ask(root, route, study).status_code < 300, route
    confirmed = root.delete("/projects/home/cases/c", params={"confirm": "c"})
    assert confirmed.json()["deleted"] is True
    assert root.get("/projects/home/slices").json()["items"] == []


def test_it_is_hidden_unless_asked_for_and_only_its_admin_archives_it(api):
    make_study(api, "home"), make_study(api, "other")
    reviewer, chief = member(api, Role.REVIEWER, "home"), member(api, Role.ADMIN, "home")
    assert archive(reviewer, "home").status_code == 403
    archived = archive(chief, "home").json()
    assert archived["archived_at"] is not None
    assert archive(chief, "home").json() == archived
    root = api.as_("root", Role.ADMIN)
    assert [p["name"] for p in root.get("/projects").json()["items"]] == ["other"]
    all_ = root.get("/projects", params={"archived": True}).json()["items"]
    assert [(p["name"], p["archived_at"] is not None) for p in all_] == [
        ("home", True),
        ("other", False),
    ]
    # The only one that goes on needs no name.
    assert root.get("/rounds").status_code == 200
    # It keeps its name.
    made = root.post("/projects", json={"name": "home", "classes": ["a", "b"]})
    assert "archived" in problem_of(made)["detail"]
    back = archive(chief, "home", archived=False).json()
    assert back["archived_at"] is None
    events = chief.get("/projects/home/events").json()["items"]
    said = [e["action"] for e in events if e["action"].startswith("project.")]
    assert said == ["project.create", "project.archive", "project.bring_back"]


def test_what_people_hold_is_given_back_and_goes_on_later(api):
    root = api.project(slices=6, cases=3)
    ann = api.as_("ann", Role.ANNOTATOR)
    [item] = ann.get("/query/next").json()["items"]
    archive(root, "brain")
    with api.database.reading() as session:
        assert session.scalar(select(func.count()).where(Lease.ended_at.is_(None))) == 0
    sent = ann.post(f"/slices/{item['slice']}/masks", content=mask())
    assert "archived" in problem_of(sent)["detail"]
    archive(root, "brain", archived=False)
    # Handed out once, it counts; and whoever asks is handed the next.
    assert ann.post(f"/slices/{item['slice']}/masks", content=mask()).json()["unasked"] is False
    assert len(ann.get("/query/next").json()["items"]) == 1


def test_its_retraining_is_cancelled_its_worker_writes_nothing_and_it_comes_back(api):
    root = api.project(slices=6, cases=3, size=2)
    ann = api.as_("ann", Role.ANNOTATOR)
    for item in ann.get("/query/next", params={"size": 2}).json()["items"]:
        ann.post(f"/slices/{item['slice']}/masks", content=mask())
    with api.database.writing() as session:
        held = claims.claim(session, claims.QUEUES, "w", utc_now())
    assert held is not None
    with api.database.writing() as session:
        checkpoints.put_part(session, held, 1, 0, b"part")
    archive(root, "brain")
    assert root.get(f"/jobs/{held.job_id}").json()["state"] == "cancelled"
    with pytest.raises(ClaimLost), api.database.writing() as session:
        claims.finish(session, held)
    with api.database.reading() as session:
        assert checkpoints.any_left_over(session)
    api.dispatcher.woken.clear()
    archive(root, "brain", archived=False)
    # The batch is labelled still: what was cancelled is due again.
    [job] = [j for j in root.get("/jobs").json()["items"] if j["state"] == "queued"]
    assert job["id"] != held.job_id
    assert api.dispatcher.woken == ["train"]


def test_imports_of_it_are_cancelled_and_none_begins(api):
    root = api.project()
    with api.database.writing() as session:
        waits = transfers.ask(session, TransferKind.IMPORT, "brain", "png", {}, None)
        runs = transfers.ask(session, TransferKind.IMPORT, "brain", "png", {}, None)
        held = transfers.claim(session, runs.id, utc_now())
    archive(root, "brain")
    assert root.get(f"/transfers/{waits.id}").json()["state"] == "cancelled"
    with pytest.raises(transfers.TransferLost), api.database.writing() as session:
        transfers.beat(session, held, {}, utc_now())
    # Of the command line.
    with pytest.raises(ProjectArchived):
        make_plan(api.database, "brain", ImportOptions(), Listing, None)


class Listing:
    """As much of a listing as it takes to be refused."""

    cases = ()
    classes = None
    channels = ("image",)
    warnings = ()


def test_a_renamed_project_is_what_it_was(api):
    study = make_study(api, "home")
    root, chief = api.as_("root", Role.ADMIN), member(api, Role.ADMIN, "home")
    with api.database.writing() as session:
        session.execute(
            update(Hook).values(events=[HookEvent.EXPORT_READY.value], url="https://example.org")
        )
        job = Job(project_id=1, kind=JobKind.RETRAIN, queue="train", step="train")
        session.add(job)
        waits = transfers.ask(session, TransferKind.EXPORT, "home", "png", {}, None, "/nowhere")
        held = transfers.claim(session, waits.id, utc_now())
    assert (
        member(api, Role.REVIEWER, "home").patch("/projects/home", json={"name": "x"}).status_code
        == 403
    )
    renamed = chief.patch("/projects/home", json={"name": "house"})
    assert (renamed.json()["name"], renamed.json()["id"]) == ("house", 1)
    # The token of that project alone is good for it still; its transfers came along.
    assert chief.get("/projects/house/transfers").json()["items"][0]["id"] == waits.id
    assert chief.get(f"/transfers/{study.numbers['transfer_id']}").status_code == 200
    # A job that ran goes on.
    with api.database.writing() as session:
        assert claims.claim(session, claims.QUEUES, "w", utc_now()) is not None
    # An export that ran ends as the renamed project's, and its webhook hears of it.
    with api.database.writing() as session:
        transfers.end(session, held, JobState.SUCCEEDED, {"cases": 1})
    told = chief.get(f"/projects/house/hooks/{study.numbers['hook_id']}/deliveries").json()["items"]
    assert (told[0]["payload"]["project"], told[0]["payload"]["project_id"]) == ("house", 1)
    events = chief.get("/projects/house/events", params={"newest": True}).json()["items"]
    said = {e["action"]: e["detail"] for e in events}
    assert said["project.rename"] == {"old": "home", "new": "house"}
    assert said["export.succeeded"]["project"] == "house"
    # The old name says what it is called now, to those who may see it alone.
    gone = problem_of(root.get("/projects/home"))
    assert (gone["status"], "'house'" in gone["detail"]) == (404, True)
    make_study(api, "foreign")
    stranger = member(api, Role.ADMIN, "foreign")
    assert "house" not in problem_of(stranger.get("/projects/home"))["detail"]
    # And is free.
    assert root.post("/projects", json={"name": "home", "classes": ["a", "b"]}).status_code == 201
    assert root.get("/projects/home").json()["id"] != 1
    taken = problem_of(chief.patch("/projects/house", json={"name": "home"}))
    assert (taken["status"], taken["title"]) == (409, "Already exists")
    assert chief.patch("/projects/house", json={"name": "../x"}).status_code == 422
    # With settings at once; to its own name, nothing.
    both = chief.patch("/projects/house", json={"name": "hut", "query": {"size": 3}}).json()
    assert (both["name"], both["query"]["size"]) == ("hut", 3)
    assert chief.patch("/projects/hut", json={"name": "hut"}).status_code == 200


def test_no_project_is_renamed_under_an_import(api):
    root = api.project()
    with api.database.writing() as session:
        # One of its own, and one that would make a project of the new name.
        ours = transfers.ask(session, TransferKind.IMPORT, "brain", "png", {}, None)
        theirs = transfers.ask(session, TransferKind.CHECK, "new", "png", {}, None)
    for one in (ours, theirs):
        refused = problem_of(root.patch("/projects/brain", json={"name": "new"}))
        assert (refused["status"], f"import {one.id}" in refused["detail"]) == (409, True)
        root.post(f"/transfers/{one.id}/cancel")
    assert root.patch("/projects/brain", json={"name": "new"}).status_code == 200


def test_two_do_not_take_one_name(api):
    make_study(api, "a"), make_study(api, "b")
    root = api.as_("root", Role.ADMIN)
    assert root.patch("/projects/a", json={"name": "c"}).status_code == 200
    assert root.patch("/projects/b", json={"name": "c"}).status_code == 409
    # A name that was another's before leads to whoever has it now.
    assert root.patch("/projects/b", json={"name": "a"}).status_code == 200
    with api.database.reading() as session:
        assert find_project(session, HERE, "a", Role.ADMIN).former_names == ["b"]
        assert session.scalar(select(func.count()).select_from(Project)) == 2
        assert session.scalar(select(func.count()).where(Event.action == "project.rename")) == 2


def test_the_study_reaches_what_it_names(api):
    """The tests above would say little of what is not there."""
    study = make_study(api, "home")
    assert isinstance(study, Study)
    found = client(api, api.token("root", Role.ADMIN)).get(
        f"/models/{study.numbers['model_id']}/weights"
    )
    assert found.status_code == 200
