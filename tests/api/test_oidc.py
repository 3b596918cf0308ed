"""Sign-in by a provider: who gets in, as whom, and what an admin decides."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.loop.accounts import program_account
from app.store import Event, Identity, Role, utc_now
from tests.api.oidc import application, arrive, browser, refused, signed_in, why
from tests.conftest import problem_of
from tests.oidc_provider import OidcProvider, serving

ANN = {"sub": "s-ann", "preferred_username": "ann"}


@pytest.fixture
def provider():
    with serving(OidcProvider(person=dict(ANN))) as found:
        yield found


@pytest.fixture
def here(provider, sqlite_database, tmp_path):
    with application(provider, sqlite_database, tmp_path) as api:
        yield api


def events(api, action: str) -> list[Event]:
    with api.database.reading() as session:
        found = session.scalars(select(Event).where(Event.action == action).order_by(Event.id))
        return list(found)


def test_somebody_whom_an_admin_links_signs_in_and_works(provider, database, tmp_path):
    with application(provider, database, tmp_path) as api:
        root = api.project()
        api.as_("ann", Role.ANNOTATOR)
        assert api.client.get("/session/ways").json() == {"provider": "the hospital"}
        assert root.put("/accounts/ann/identity", json={}).status_code == 200
        page = signed_in(api)
        assert page.get("/session").json()["account"] == "ann"
        assert page.get("/query/next").json()["items"]
        # As any other session: the cookie alone changes nothing, it is listed, and ended.
        csrf = page.headers.pop("X-CSRF-Token")
        assert page.delete("/session").status_code == 403
        [own] = page.get("/sessions").json()["items"]
        assert (own["account"], own["token"]) == ("ann", None)
        assert page.delete("/session", headers={"X-CSRF-Token": csrf}).status_code == 204
        assert page.get("/projects").status_code == 401
        [linked] = root.get("/identities").json()["items"]
        assert (linked["account"], linked["subject"], linked["expires_at"]) == (
            "ann",
            "s-ann",
            None,
        )
        opened = events(api, "session.open")
        assert [one.detail["how"] for one in opened] == ["provider"]


def test_once_linked_the_subject_alone_counts(provider, here):
    root = here.project()
    for name in ("ann", "bob"):
        here.as_(name, Role.ANNOTATOR)
    root.put("/accounts/ann/identity", json={})
    signed_in(here)
    provider.person = {"sub": "s-ann", "preferred_username": "bob"}
    assert signed_in(here).get("/session").json()["account"] == "ann"
    # Who is called so later is somebody else.
    provider.person = {"sub": "s-other", "preferred_username": "ann"}
    assert refused(here) == "unknown"


def test_a_name_alone_opens_no_account(provider, here):
    root = here.as_("root", Role.ADMIN)
    here.as_("ann", Role.ANNOTATOR)
    assert refused(here) == "unknown"
    provider.person = {"sub": "s-evil", "preferred_username": "root"}
    assert refused(here) == "unknown"
    noted = [(one.detail["there"], one.detail["name"]) for one in events(here, "sign-in.refused")]
    assert noted == [("s-ann", "ann"), ("s-evil", "root")]
    # An admin's account is nobody's by name, whether it was one before or is made one afterwards.
    assert "subject" in problem_of(root.put("/accounts/root/identity", json={}))["detail"]
    root.put("/accounts/ann/identity", json={})
    root.patch("/accounts/ann", json={"role": "admin"})
    provider.person = dict(ANN)
    assert refused(here) == "unknown"
    linked = root.put("/accounts/ann/identity", json={"subject": "s-ann"})
    assert linked.json()["subject"] == "s-ann"
    assert signed_in(here).get("/accounts").status_code == 200


def test_neither_is_a_projects_admin_linked_by_name(here):
    root = here.project()
    made = root.post("/tokens", json={"name": "chief", "role": "admin", "project": "brain"})
    assert made.status_code == 201
    refused_ = root.put("/accounts/chief/identity", json={"name": "ann"})
    assert refused_.status_code == 422


def test_leave_ends_after_a_week_and_is_for_one(provider, here):
    root = here.as_("root", Role.ADMIN)
    for name in ("ann", "ann2"):
        here.as_(name, Role.ANNOTATOR)
    waiting = root.put("/accounts/ann/identity", json={"name": "ann"}).json()
    assert (waiting["subject"], waiting["name_there"]) == (None, "ann")
    taken = root.put("/accounts/ann2/identity", json={"name": "ann"})
    assert "'ann' waits" in problem_of(taken)["detail"]
    with here.database.writing() as session:
        session.query(Identity).update({"expires_at": utc_now() - timedelta(seconds=1)})
    assert refused(here) == "unknown"
    # Given anew, also where it is called otherwise.
    assert root.put("/accounts/ann2/identity", json={"name": "ann"}).status_code == 200
    assert signed_in(here).get("/session").json()["account"] == "ann2"


def test_an_identity_is_unlinked_and_its_sessions_end(provider, here):
    root = here.as_("root", Role.ADMIN)
    for name in ("ann", "bob"):
        here.as_(name, Role.ANNOTATOR)
    root.put("/accounts/ann/identity", json={"subject": "s-ann"})
    page = signed_in(here)
    for name, words in (("bob", "unlink that one first"), ("ann", "unlink it first")):
        again = root.put(f"/accounts/{name}/identity", json={"subject": "s-ann"})
        assert (again.status_code, words in again.json()["detail"]) == (409, True)
    assert root.delete("/accounts/ann/identity").status_code == 204
    assert page.get("/session").status_code == 401
    assert root.delete("/accounts/ann/identity").status_code == 404
    assert refused(here) == "unknown"
    assert root.put("/accounts/bob/identity", json={"subject": "s-ann"}).status_code == 200
    assert signed_in(here).get("/session").json()["account"] == "bob"


def test_a_disabled_account_stays_out(here):
    root = here.as_("root", Role.ADMIN)
    here.as_("ann", Role.ANNOTATOR)
    root.put("/accounts/ann/identity", json={})
    root.patch("/accounts/ann", json={"disabled": True})
    assert refused(here) == "disabled"
    root.patch("/accounts/ann", json={"disabled": False})
    assert signed_in(here).get("/session").status_code == 200


def test_nobody_becomes_the_service_itself(provider, database, tmp_path):
    provider.person = {"sub": "s", "preferred_username": "import"}
    with application(provider, database, tmp_path, oidc_new_accounts=True) as api:
        with api.database.writing() as session:
            program_account(session, "import")
        root = api.as_("root", Role.ADMIN)
        for body in ({}, {"subject": "s"}):
            assert root.put("/accounts/import/identity", json=body).status_code == 403
        assert refused(api) == "unknown"


def test_unknown_people_get_accounts_of_their_own_where_that_is_set(
    provider, sqlite_database, tmp_path
):
    with application(provider, sqlite_database, tmp_path, oidc_new_accounts=True) as api:
        api.project()
        page = signed_in(api)
        assert page.get("/session").json()["role"] is None
        assert page.get("/projects").json()["items"] == []
        # Names of others, in whatever case, and such as cannot be names.
        for name in ("ann", "ROOT", "../x", "ann@example.org", "", None, 7):
            provider.person = {"sub": "s-2", "preferred_username": name}
            assert refused(api) == "unknown", name


def test_groups_give_roles_and_take_them_again(provider, database, tmp_path):
    settings = {
        "oidc_new_accounts": True,
        "oidc_groups_claim": "groups",
        "oidc_roles": {"readers": "brain:reviewer, knee:viewer", "drawers": "brain:annotator"},
    }
    with application(provider, database, tmp_path, **settings) as api:
        root = api.project()
        for name in ("knee", "own"):
            assert root.post("/projects", json={"name": name}).status_code == 201
        provider.person["groups"] = ["readers", "drawers", "others"]
        page = signed_in(api)
        assert roles_of(page) == {"brain": "reviewer", "knee": "viewer"}
        # Of projects that no group stands for, admins here decide.
        root.put("/projects/own/members/ann", json={"role": "annotator"})
        provider.person["groups"] = ["drawers"]
        signed_in(api)
        assert roles_of(page) == {"brain": "annotator", "own": "annotator"}
        del provider.person["groups"]
        signed_in(api)
        assert roles_of(page) == {"own": "annotator"}


def roles_of(page) -> dict[str, str]:
    return {one["name"]: one["role"] for one in page.get("/projects").json()["items"]}


def test_groups_decide_who_is_what_in_the_installation(provider, sqlite_database, tmp_path):
    settings = {
        "oidc_new_accounts": True,
        "oidc_groups_claim": "groups",
        "oidc_roles": {"chiefs": "admin", "staff": "annotator"},
    }
    with application(provider, sqlite_database, tmp_path, **settings) as api:
        root = api.project()
        provider.person["groups"] = ["staff"]
        page = signed_in(api)
        assert roles_of(page) == {"brain": "annotator"}
        provider.person["groups"] = ["staff", "chiefs"]
        assert signed_in(api).get("/accounts").status_code == 200
        provider.person["groups"] = []
        assert signed_in(api).get("/accounts").status_code == 403
        root.put("/projects/brain/members/ann", json={"role": "viewer"})
        provider.person["groups"] = ["staff"]
        signed_in(api)
        provider.person["groups"] = []
        signed_in(api)
        assert roles_of(page) == {}
        # The last admin stays one, or nobody could set it right.
        root.put("/accounts/root/identity", json={"subject": "s-root"})
        provider.person = {"sub": "s-root", "groups": []}
        assert signed_in(api).get("/accounts").status_code == 200


def test_what_a_provider_tells_at_userinfo_alone_counts_too(provider, sqlite_database, tmp_path):
    provider.person = {"sub": "s-ann"}
    provider.userinfo = {"sub": "s-ann", "preferred_username": "ann"}
    with application(provider, sqlite_database, tmp_path, oidc_new_accounts=True) as api:
        assert signed_in(api).get("/session").json()["account"] == "ann"
        provider.userinfo["sub"] = "s-other"
        assert refused(api) == "untrusted"


def test_an_address_that_was_not_verified_names_nobody(provider, sqlite_database, tmp_path):
    with application(provider, sqlite_database, tmp_path, oidc_name_claim="email") as api:
        root = api.as_("root", Role.ADMIN)
        api.as_("ann", Role.ANNOTATOR)
        root.put("/accounts/ann/identity", json={"name": "ann@example.org"})
        provider.person = {"sub": "s-1", "email": "ann@example.org"}
        for verified in (None, False, "true"):
            provider.person["email_verified"] = verified
            assert refused(api) == "unknown"
        provider.person["email_verified"] = True
        assert signed_in(api).get("/session").json()["account"] == "ann"


def test_one_comes_back_to_the_page_one_was_on_and_nowhere_else(here):
    root = here.as_("root", Role.ADMIN)
    here.as_("ann", Role.ANNOTATOR)
    root.put("/accounts/ann/identity", json={})
    assert arrive(browser(here), "/review").headers["location"] == "/review"
    for away in ("https://evil.example", "//evil.example", "/\\evil.example", "/review/../x"):
        assert browser(here).post("/session/provider", json={"page": away}).status_code == 422


def test_where_no_provider_is_set_there_is_none(api):
    assert api.client.get("/session/ways").json() == {"provider": None}
    assert problem_of(api.client.post("/session/provider", json={}))["status"] == 404
    assert problem_of(api.client.get("/session/provider/callback"))["status"] == 404
    root = api.as_("root", Role.ADMIN)
    assert root.put("/accounts/root/identity", json={"subject": "s"}).status_code == 422
    assert root.get("/identities").json()["items"] == []


def test_too_many_failures_are_said_on_the_page_too(provider, sqlite_database, tmp_path):
    with application(provider, sqlite_database, tmp_path, failed_sign_ins_per_minute=2) as api:
        assert [refused(api) for _ in range(3)] == ["unknown", "unknown", "often"]
        assert why(browser(api).get("/session/provider/callback")) == "often"
