"""Accounts: passwords, sessions, roles changed, doors shut."""

from datetime import timedelta

from fastapi.testclient import TestClient

from app.loop.accounts import program_account
from app.store import Role, SignIn, utc_now
from tests.conftest import problem_of

WORDS = "correct horse battery staple"


def browser(api) -> TestClient:
    return TestClient(api.client.app, raise_server_exceptions=False)


def signed_in(api, account: str, password: str = WORDS) -> TestClient:
    page = browser(api)
    reply = page.post("/session", json={"account": account, "password": password})
    assert reply.status_code == 201, reply.text
    page.headers["X-CSRF-Token"] = reply.json()["csrf"]
    return page


def test_somebody_signs_in_with_a_password(api):
    root = api.project()
    api.as_("ann", Role.ANNOTATOR)
    assert root.put("/accounts/ann/password", json={"password": WORDS}).status_code == 204
    page = signed_in(api, "ann")
    shown = page.get("/session").json()
    assert (shown["account"], shown["role"]) == ("ann", "annotator")
    assert page.get("/query/next").json()["items"]
    wrong = browser(api).post("/session", json={"account": "ann", "password": WORDS.upper()})
    unknown = browser(api).post("/session", json={"account": "nobody", "password": WORDS})
    # Nobody learns from it which of the two was wrong.
    assert problem_of(wrong)["detail"] == problem_of(unknown)["detail"]
    assert wrong.status_code == 401
    with api.database.reading() as session:
        assert WORDS not in str(
            session.connection().exec_driver_sql("SELECT * FROM accounts").all()
        )


def test_a_password_is_long_enough_and_given_by_an_admin_or_changed_by_who_knows_it(api):
    root = api.as_("root", Role.ADMIN)
    short = root.put("/accounts/root/password", json={"password": "hunter2"})
    assert (short.status_code, "7 characters" in short.json()["detail"]) == (422, True)
    ann = api.as_("ann", Role.ANNOTATOR)
    api.as_("bob", Role.ANNOTATOR)
    # A token alone gives nobody a password: that would outlast it, and open more.
    for name in ("ann", "bob"):
        assert ann.put(f"/accounts/{name}/password", json={"password": WORDS}).status_code == 403
        assert root.put(f"/accounts/{name}/password", json={"password": WORDS}).status_code == 204
    for present, status in (("wrong " * 3, 401), (WORDS, 204)):
        change = {"password": WORDS + " new", "present": present}
        assert ann.put("/accounts/ann/password", json=change).status_code == status
    assert signed_in(api, "ann", WORDS + " new").get("/session").json()["account"] == "ann"
    # Of another it is of no use to know it.
    change = {"password": WORDS + " new", "present": WORDS}
    assert ann.put("/accounts/bob/password", json=change).status_code == 403
    assert root.delete("/accounts/ann/password").status_code == 204
    again = browser(api).post("/session", json={"account": "ann", "password": WORDS + " new"})
    assert again.status_code == 401
    assert root.put("/accounts/nobody/password", json={"password": WORDS}).status_code == 404


def test_a_password_is_not_the_name(api):
    root = api.as_("root", Role.ADMIN)
    api.as_("liver-annotator", Role.ANNOTATOR)
    where = "/accounts/liver-annotator/password"
    for wrong in ("liver-annotator", "Liver-Annotator1", "liver-annotatorliver-annotator!"):
        refused = root.put(where, json={"password": wrong})
        assert (refused.status_code, "the account's name" in refused.text) == (422, True)
    assert root.put(where, json={"password": WORDS}).status_code == 204


def test_half_of_a_way_to_sign_in_is_refused_in_words(api):
    for body in ({}, {"account": "a"}, {"token": "t", "account": "a", "password": "p"}):
        refused = browser(api).post("/session", json=body)
        assert refused.status_code == 422
        assert "a token, or an account with its password" in refused.text


def test_a_new_password_ends_the_sessions_of_the_old(api):
    root = api.as_("root", Role.ADMIN)
    root.put("/accounts/root/password", json={"password": WORDS})
    page = signed_in(api, "root")
    root.put("/accounts/root/password", json={"password": WORDS + "!"})
    assert page.get("/session").status_code == 401
    refused = browser(api).post("/session", json={"account": "root", "password": WORDS})
    assert refused.status_code == 401


def test_sessions_are_listed_and_ended_ones_own_or_by_an_admin_anybodys(api):
    root = api.as_("root", Role.ADMIN)
    for name in ("ann", "bob"):
        api.as_(name, Role.ANNOTATOR)
        root.put(f"/accounts/{name}/password", json={"password": WORDS})
    ann, bob = signed_in(api, "ann"), signed_in(api, "bob")
    [own] = ann.get("/sessions").json()["items"]
    assert (own["account"], own["token"]) == ("ann", None)
    everybodys = root.get("/sessions").json()["items"]
    assert {one["account"] for one in everybodys} == {"ann", "bob"}
    bobs = next(one["id"] for one in everybodys if one["account"] == "bob")
    assert ann.delete(f"/sessions/{bobs}").status_code == 404
    assert bob.get("/session").status_code == 200
    assert root.delete(f"/sessions/{bobs}").status_code == 204
    assert bob.get("/session").status_code == 401
    assert ann.delete(f"/sessions/{own['id']}").status_code == 204
    assert ann.get("/session").status_code == 401


def test_an_account_that_is_disabled_is_out_everywhere_and_comes_in_again(api):
    root = api.as_("root", Role.ADMIN)
    ann = api.as_("ann", Role.ANNOTATOR)
    root.put("/accounts/ann/password", json={"password": WORDS})
    page = signed_in(api, "ann")
    changed = root.patch("/accounts/ann", json={"disabled": True})
    assert changed.json()["disabled"] is True
    assert ann.get("/projects").status_code == 401
    assert page.get("/session").status_code == 401
    again = browser(api).post("/session", json={"account": "ann", "password": WORDS})
    assert "disabled" in problem_of(again)["detail"]
    assert root.patch("/accounts/ann", json={"disabled": False}).json()["disabled"] is False
    assert ann.get("/projects").status_code == 200
    # A session that was ended stays so.
    assert page.get("/session").status_code == 401


def test_a_role_in_the_installation_changes_what_one_is_in_every_project(api):
    root = api.project()
    ann = api.as_("ann", Role.ANNOTATOR)
    assert root.patch("/accounts/ann", json={"role": "reviewer"}).json()["role"] == "reviewer"
    assert ann.get("/projects/brain").json()["role"] == "reviewer"
    assert root.patch("/accounts/ann", json={"role": None}).json()["role"] is None
    root.post("/projects", json={"name": "later", "classes": ["no", "yes"]})
    assert [p["name"] for p in ann.get("/projects").json()["items"]] == ["brain"]
    assert root.patch("/accounts/ann", json={"role": "admin"}).json()["role"] == "admin"
    assert ann.get("/accounts").status_code == 200


def test_an_admin_stays_one_until_another_says_otherwise(api):
    root = api.as_("root", Role.ADMIN)
    for change in ({"role": "annotator"}, {"disabled": True}):
        refused = root.patch("/accounts/root", json=change)
        assert (refused.status_code, "your own account" in refused.text) == (422, True)
    listed = root.get("/accounts").json()["items"]
    assert [(a["name"], a["role"], a["disabled"]) for a in listed] == [("root", "admin", False)]


def test_a_session_that_is_over_is_not_listed(api):
    root = api.as_("root", Role.ADMIN)
    root.put("/accounts/root/password", json={"password": WORDS})
    signed_in(api, "root")
    with api.database.writing() as session:
        session.query(SignIn).update({"expires_at": utc_now() - timedelta(seconds=1)})
    assert root.get("/sessions").json()["items"] == []


def test_a_token_of_one_project_cannot_become_more_by_a_password(api):
    root = api.project()
    root.put("/accounts/root/password", json={"password": WORDS})
    made = root.post("/tokens", json={"name": "root", "role": "admin", "project": "brain"})
    narrow = browser(api)
    narrow.headers["Authorization"] = f"Bearer {made.json()['token']}"
    for body in ({"password": WORDS + "!"}, {"password": WORDS + "!", "present": WORDS}):
        assert narrow.put("/accounts/root/password", json=body).status_code == 403


def test_nobody_becomes_the_service_itself(api):
    root = api.project()
    with api.database.writing() as session:
        program_account(session, "import")
    assert root.put("/projects/brain/members/import", json={"role": "admin"}).status_code == 403
    assert root.put("/accounts/import/password", json={"password": WORDS}).status_code == 403
    assert root.patch("/accounts/import", json={"role": "admin"}).status_code == 403
