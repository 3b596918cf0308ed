"""The audit trail: whole, in whose name, and what was changed afterwards shows."""

import pytest
from sqlalchemy import select, text

from app.loop.audit_chain import broken_links, go_on, missing_from, seal
from app.store import Event, Role
from app.sweep import seal_events
from tests.api.test_accounts import WORDS, browser
from tests.api.test_archives import archive
from tests.conftest import mask, picture


def entries(api, action: str | None = None) -> list[Event]:
    with api.database.reading() as session:
        events = session.scalars(select(Event).order_by(Event.id)).all()
        return [event for event in events if action in (None, event.action)]


def broken(api) -> list[str]:
    with api.database.reading() as session:
        return list(broken_links(session))


def test_what_people_see_change_and_fetch_is_in_it_and_by_whom(api):
    root = api.project()
    ann = api.as_("ann", Role.ANNOTATOR)
    [one, two] = ann.get("/query/next", params={"size": 2}).json()["items"]
    for item in (one, two, one):
        assert ann.get(item["image"]).status_code == 200
    ann.post(f"/slices/{one['slice']}/masks", content=mask())
    root.get(f"/slices/{one['slice']}/masks")
    root.post("/projects/brain/slices", params={"case": "new", "index": 0}, content=picture())
    assert root.get("/projects/brain/export", params={"format": "png"}).status_code == 200
    # Off the requests' path: kept by minute.
    assert entries(api, "slices.seen") == []
    api.client.app.state.seen.write(api.database)
    seen = {event.account_id: event.detail for event in entries(api, "slices.seen")}
    names = {event["account"]: event["by"] for event in _shown(root)}
    assert {names[who]: said["slices"] for who, said in seen.items()} == {
        "ann": sorted([one["slice"], two["slice"]]),
        "root": [one["slice"]],
    }
    acts = {(event["by"], event["action"]) for event in _shown(root)}
    assert {
        ("ann", "mask.submit"),
        ("root", "slice.add"),
        ("root", "export.sent"),
    } <= acts
    # Where from: known again, and not told.
    addresses = {event["address"] for event in _shown(root)} - {None}
    assert len(addresses) == 1
    assert "testclient" not in str(addresses)
    # Nothing new: nothing is written.
    before = len(entries(api))
    api.client.app.state.seen.write(api.database)
    assert len(entries(api)) == before


def test_whoever_looks_at_more_than_can_be_named_is_counted(api, monkeypatch):
    monkeypatch.setattr("app.seen._MOST_IDS", 2)
    root = api.project(slices=3)
    for item in root.get("/query/next", params={"size": 3}).json()["items"]:
        root.get(item["image"])
    api.client.app.state.seen.write(api.database)
    named, counted = (event.detail for event in entries(api, "slices.seen"))
    assert len(named["slices"]) == 2
    assert counted == {"looks": 3, "named": 2}


def _shown(root) -> list[dict]:
    return root.get("/projects/brain/events", params={"limit": 200}).json()["items"]


def test_signing_in_and_not_getting_in_are_in_it(api):
    root = api.as_("root", Role.ADMIN)
    root.put("/accounts/root/password", json={"password": WORDS})
    page = browser(api)
    page.headers["X-CSRF-Token"] = page.post(
        "/session", json={"account": "root", "password": WORDS}
    ).json()["csrf"]
    page.delete("/session")
    for name in ("root", "root", "nobody"):
        page.post("/session", json={"account": name, "password": "wrong" * 3})
    page.post("/session", json={"token": "sfu_1_wrong"})
    page.get("/projects", headers={"Authorization": "Bearer sfu_1_wrong"})
    api.client.app.state.seen.write(api.database)
    acts = [event.action for event in entries(api)]
    assert acts.count("session.open") == acts.count("session.end") == 1
    # Whose password was tried is told; of a name that nobody has, nothing.
    refused = entries(api, "sign-in.refused")
    told = [(e.detail["by"], e.detail.get("tried") or "", e.detail["count"]) for e in refused]
    assert sorted(told) == [
        ("password", "", 1),
        ("password", "root", 2),
        ("token", "", 2),
    ]
    assert all(event.address is not None for event in refused)


def test_an_import_and_the_project_that_it_makes_are_somebodys(api):
    root = api.as_("root", Role.ADMIN)
    pictures = archive(**{"images/a/0.png": picture()})
    done = root.post("/projects/made/imports", params={"layout": "png"}, content=pictures)
    assert done.status_code == 200, done.text
    made = root.get("/projects/made/events").json()["items"]
    acts = {(event["action"], event["by"]) for event in made}
    assert {("project.create", "root"), ("import.succeeded", "root")} <= acts


def test_the_chain_shows_what_was_changed_or_taken_out(api):
    api.project()
    for name in ("ann", "bob", "eve"):
        api.as_(name, Role.ANNOTATOR)
    seal_events(api.database)
    assert broken(api) == []
    assert all(event.sealed for event in entries(api))
    victim = entries(api, "token.create")[1]
    with api.database.writing() as session:
        session.execute(
            text("UPDATE events SET account_id = NULL, action = 'x' WHERE id = :id"),
            {"id": victim.id},
        )
    assert broken(api) == [f"entry {victim.id} of the audit trail, or one before it, was changed"]
    with api.database.writing() as session:
        session.execute(text("DELETE FROM events WHERE id = :id"), {"id": victim.id})
    assert "lacks 1 entries" in broken(api)[0]


def test_what_an_entry_says_cannot_be_changed_unseen(api):
    api.as_("ann", Role.ANNOTATOR)
    seal_events(api.database)
    with api.database.writing() as session:
        event = session.scalars(select(Event).order_by(Event.id)).first()
        event.detail = {**event.detail, "subject": "somebody else"}
    assert broken(api) == [f"what entry {event.id} of the audit trail says was changed"]


def test_emptying_an_entry_oneself_shows(api):
    api.as_("ann", Role.ANNOTATOR)
    seal_events(api.database)
    with api.database.writing() as session:
        event = session.scalars(select(Event).order_by(Event.id)).first()
        event.detail = {"sha256": "x", "subject": "somebody else"}
    assert broken(api) == [f"what entry {event.id} of the audit trail says was changed"]


def test_what_a_deletion_empties_keeps_its_place_in_the_chain(api):
    root = api.project()
    ann = api.as_("ann", Role.ANNOTATOR)
    [item] = ann.get("/query/next").json()["items"]
    ann.post(f"/slices/{item['slice']}/masks", content=mask())
    seal_events(api.database)
    [before] = entries(api, "mask.submit")
    for confirm in (None, "brain"):
        root.delete("/projects/brain", params={"confirm": confirm} if confirm else {})
    [after] = entries(api, "mask.submit")
    assert after.detail.keys() == {"sha256"}
    assert after.digest == before.digest
    seal_events(api.database)
    assert broken(api) == []


def test_entries_are_sealed_once_and_in_parts(api):
    for number in range(5):
        api.as_(f"a{number}", Role.ANNOTATOR)
    with api.database.writing() as session:
        assert seal(session, most=3) == 3
    seal_events(api.database)
    assert sorted(event.sealed for event in entries(api)) == list(range(1, len(entries(api)) + 1))
    with api.database.writing() as session:
        assert seal(session) == 0


UNSEALED = "sealed = NULL, digest = NULL, chain = NULL"


@pytest.mark.parametrize(
    ("done", "says"),
    [
        ("DELETE FROM events", "lacks its last 4 sealed entries"),
        ("DELETE FROM events WHERE sealed > 2", "lacks its last 2 sealed entries"),
        (f"UPDATE events SET {UNSEALED} WHERE sealed > 1", "lacks its last 3 sealed entries"),
        (f"UPDATE events SET {UNSEALED} WHERE sealed = 2", "lacks 1 entries"),
        ("UPDATE events SET chain = 'x' WHERE sealed = 4", "not the one that was sealed"),
    ],
)
def test_its_end_cannot_be_cut_off_or_sealed_anew(api, done, says):
    for name in ("ann", "bob", "eve", "joe"):
        api.as_(name, Role.ANNOTATOR)
    seal_events(api.database)
    assert len(entries(api)) == 4
    with api.database.writing() as session:
        session.execute(text(done))
    for _ in range(2):
        assert any(says in words for words in broken(api))
        # Nor does whatever comes afterwards cover it up.
        api.as_(f"new-{_}", Role.ANNOTATOR)
        seal_events(api.database)


def test_an_export_of_before_is_held_to_what_is_there(api):
    for name in ("ann", "bob", "eve"):
        api.as_(name, Role.ANNOTATOR)
    seal_events(api.database)
    api.as_("last", Role.ANNOTATOR)
    exported = [
        {
            "id": e.id,
            "at": e.at.isoformat(),
            "action": e.action,
            "detail": e.detail,
            "sealed": e.sealed,
            "chain": e.chain,
        }
        for e in entries(api)
    ]
    assert exported[-1]["sealed"] is None
    with api.database.writing() as session:
        assert list(missing_from(session, exported)) == []
        # A forger who computes everything anew, and where it ends.
        session.execute(text("DELETE FROM events WHERE sealed = 2"))
        session.execute(text(f"UPDATE events SET {UNSEALED}"))
        session.execute(text("UPDATE installation SET audit_sealed = 0, audit_chain = NULL"))
    seal_events(api.database)
    assert broken(api) == []
    with api.database.writing() as session:
        assert len(list(missing_from(session, exported))) == 2
        session.execute(text("DELETE FROM events WHERE id = :id"), {"id": exported[-1]["id"]})
        assert len(list(missing_from(session, exported))) == 3


def test_a_chain_that_was_cut_goes_on_when_somebody_says_so_and_tells_of_it(api):
    for name in ("ann", "bob", "eve"):
        api.as_(name, Role.ANNOTATOR)
    seal_events(api.database)
    with api.database.writing() as session:
        assert go_on(session, None) is None
        session.execute(text("DELETE FROM events WHERE sealed > 1"))
    with api.database.writing() as session:
        assert "lacks its last 2" in go_on(session, None)
    api.as_("new", Role.ANNOTATOR)
    seal_events(api.database)
    assert broken(api) == []
    assert "lacks its last 2" in entries(api, "audit.go_on")[0].detail["wrong"]
    assert all(event.sealed for event in entries(api))


@pytest.mark.parametrize("newest", [False, True])
def test_the_trail_is_read_from_either_end(api, newest):
    root = api.as_("root", Role.ADMIN)
    api.as_("ann", Role.ANNOTATOR)
    shown = root.get("/events", params={"newest": newest, "limit": 1}).json()
    [event] = shown["items"]
    assert event["detail"]["subject"] == ("ann" if newest else "root")
    assert shown["next"] is not None
