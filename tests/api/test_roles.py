"""Who may do what: each route × role, in one's own project and in a foreign one.

A route that has no row here fails the test: whoever adds one says who may use it.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core.blob import Blob
from app.core.prepared import prepare_mask
from app.core.project_settings import ProjectSettings, QuerySettings
from app.core.splits import Split
from app.loop import transfers
from app.loop.access import HERE, Reader
from app.loop.accounts import create_token
from app.loop.masks import submit_mask
from app.loop.next_batch import next_batch
from app.loop.projects import create_project, find_project
from app.loop.slices import add_slice, ensure_case
from app.store import (
    Account,
    Hook,
    Job,
    JobKind,
    JobState,
    ModelVersion,
    Role,
    Suggestion,
    TransferKind,
    blobs,
    utc_now,
)
from tests.conftest import TTL, Api, mask, picture, pixels_of, prepared, problem_of
from tests.people import named_account

ROLES = [Role.VIEWER, Role.ANNOTATOR, Role.REVIEWER, Role.ADMIN]
# Beside the roles of a project: whoever has no token, whoever has one, admins of the installation.
NOBODY, ANYBODY, INSTALLATION = "nobody", "anybody", "installation"


@dataclass(frozen=True)
class Row:
    """The least role for a route, and what is sent along. ``{…}`` stands for numbers of Study.

    ``also``: what it may be answered with at home too, as there is no archive, or no mask or lease
    of one's own.
    """

    least: str
    query: dict[str, Any] = field(default_factory=dict)
    json: Any = None
    body: bytes | None = None
    also: int | None = None


V, A, R, M = Role.VIEWER, Role.ANNOTATOR, Role.REVIEWER, Role.ADMIN
OF_PROJECT = {"project": "{name}"}
TABLE: dict[tuple[str, str], Row] = {
    ("GET", "/health/live"): Row(NOBODY),
    ("GET", "/health/ready"): Row(NOBODY),
    ("GET", "/metrics"): Row(NOBODY, also=403),
    ("GET", "/accounts"): Row(INSTALLATION),
    ("PATCH", "/accounts/{account}"): Row(INSTALLATION, json={"disabled": True}),
    # Of somebody else; one's own is changed by who knows it.
    ("PUT", "/accounts/{account}/password"): Row(INSTALLATION, json={"password": "a b c d e f g"}),
    ("DELETE", "/accounts/{account}/password"): Row(INSTALLATION),
    ("GET", "/sessions"): Row(ANYBODY),
    ("DELETE", "/sessions/{session_id}"): Row(ANYBODY, also=404),
    ("POST", "/session"): Row(NOBODY, json={"token": "x"}),
    ("GET", "/session"): Row(NOBODY),
    ("DELETE", "/session"): Row(NOBODY),
    ("GET", "/session/ways"): Row(NOBODY),
    # There is no provider here.
    ("POST", "/session/provider"): Row(NOBODY, json={}, also=404),
    ("GET", "/session/provider/callback"): Row(NOBODY, also=404),
    ("GET", "/identities"): Row(INSTALLATION),
    ("PUT", "/accounts/{account}/identity"): Row(INSTALLATION, json={"subject": "s-1"}),
    ("DELETE", "/accounts/{account}/identity"): Row(INSTALLATION),
    ("GET", "/catalogue"): Row(ANYBODY),
    ("GET", "/strategies"): Row(ANYBODY),
    ("GET", "/projects"): Row(ANYBODY),
    ("POST", "/projects"): Row(INSTALLATION, json={"name": "new", "classes": ["no", "yes"]}),
    ("GET", "/events"): Row(INSTALLATION),
    ("GET", "/tokens"): Row(M, OF_PROJECT),
    ("POST", "/tokens"): Row(M, json={"name": "zoe", "role": "annotator", **OF_PROJECT}),
    ("DELETE", "/tokens/{token_id}"): Row(M),
    ("GET", "/projects/{name}"): Row(V),
    ("PATCH", "/projects/{name}"): Row(M, json={"query": {"size": 3}}),
    ("DELETE", "/projects/{name}"): Row(M),
    ("GET", "/projects/{name}/progress"): Row(V),
    ("GET", "/projects/{name}/events"): Row(M),
    ("DELETE", "/projects/{name}/cases/{case}"): Row(M),
    ("GET", "/projects/{name}/export"): Row(M, {"format": "png"}),
    ("POST", "/projects/{name}/exports"): Row(M, {"format": "png"}),
    ("POST", "/projects/{name}/imports"): Row(M, body=b"no archive"),
    ("GET", "/projects/{name}/transfers"): Row(M),
    ("GET", "/transfers/{transfer_id}"): Row(M),
    ("POST", "/transfers/{transfer_id}/cancel"): Row(M),
    ("GET", "/transfers/{transfer_id}/archive"): Row(M, also=404),
    ("GET", "/transfers/{transfer_id}/events"): Row(M),
    ("GET", "/projects/{name}/slices"): Row(V),
    ("POST", "/projects/{name}/slices"): Row(M, {"case": "c", "index": 9}, body=picture()),
    ("GET", "/slices/{slice_id}"): Row(V),
    ("DELETE", "/slices/{slice_id}"): Row(M),
    ("GET", "/slices/{slice_id}/image"): Row(V),
    ("GET", "/slices/{slice_id}/suggestion"): Row(V),
    ("GET", "/slices/{slice_id}/uncertainty"): Row(V),
    ("GET", "/slices/{slice_id}/masks"): Row(V, also=404),
    ("POST", "/slices/{slice_id}/masks"): Row(A, body=mask()),
    ("GET", "/query/next"): Row(A, OF_PROJECT),
    ("POST", "/leases/{lease_id}/renew"): Row(A, also=403),
    ("DELETE", "/leases/{lease_id}"): Row(A, also=403),
    # Of another annotator: only reviewers see it.
    ("GET", "/masks/{mask_id}"): Row(R),
    ("GET", "/masks/{mask_id}/image"): Row(R),
    ("POST", "/masks/{mask_id}/review"): Row(R, json={"verdict": "accepted"}),
    ("GET", "/projects/{name}/members"): Row(M),
    ("PUT", "/projects/{name}/members/{account}"): Row(M, json={"role": "viewer"}),
    ("DELETE", "/projects/{name}/members/{account}"): Row(M),
    ("GET", "/projects/{name}/hooks"): Row(M),
    ("POST", "/projects/{name}/hooks"): Row(M, json={"url": "https://example.org/x"}),
    ("GET", "/projects/{name}/hooks/{hook_id}"): Row(M),
    ("PATCH", "/projects/{name}/hooks/{hook_id}"): Row(M, json={"enabled": True}),
    ("POST", "/projects/{name}/hooks/{hook_id}/test"): Row(M),
    ("GET", "/projects/{name}/hooks/{hook_id}/deliveries"): Row(M),
    ("DELETE", "/projects/{name}/hooks/{hook_id}"): Row(M),
    ("GET", "/projects/{name}/reviews"): Row(R),
    ("GET", "/projects/{name}/annotators"): Row(V),
    ("GET", "/jobs"): Row(V, OF_PROJECT),
    ("POST", "/jobs"): Row(M, json={**OF_PROJECT, "kind": "retrain"}),
    ("GET", "/jobs/{job_id}"): Row(V),
    ("POST", "/jobs/{job_id}/cancel"): Row(M),
    ("GET", "/jobs/{job_id}/events"): Row(V),
    ("GET", "/rounds"): Row(V, OF_PROJECT),
    ("GET", "/rounds/{round_id}/items"): Row(V),
    ("GET", "/rounds/{round_id}/map"): Row(V),
    ("GET", "/models"): Row(V, OF_PROJECT),
    ("GET", "/models/{model_id}/masks"): Row(R),
    ("GET", "/models/{model_id}/weights"): Row(V),
    ("POST", "/models/{model_id}/promote"): Row(M),
}


@dataclass
class Study:
    """A project with something of everything, and its numbers."""

    numbers: dict[str, Any]

    def fill(self, what: Any) -> Any:
        if isinstance(what, dict):
            return {key: self.fill(value) for key, value in what.items()}
        return what.format(**self.numbers) if isinstance(what, str) else what


NOWHERE = Study(
    {"name": "nowhere", "case": "c", "account": "artist"}
    | {
        f"{what}_id": 999_999
        for what in (
            "slice",
            "mask",
            "lease",
            "round",
            "job",
            "model",
            "transfer",
            "token",
            "session",
            "hook",
        )
    }
)


def make_study(api: Api, name: str) -> Study:
    """A project with slices, a mask, a lease, a round, a job, a model, a transfer and a token."""
    settings = ProjectSettings(classes=["no", "yes"], query=QuerySettings(size=4))
    with api.database.writing() as session:
        project = create_project(session, name, settings)
        case = ensure_case(session, project, "c", Split.POOL)
        for index in range(4):
            add_slice(session, case, index, {0: prepared(index)})
        session.flush()
        artist = named_account(session, "artist", Role.ANNOTATOR)
        batch = next_batch(session, project, artist, 2, utc_now(), TTL)
        drawn = prepare_mask(pixels_of(mask()), mask())
        first, second = batch.items
        kept = submit_mask(session, Reader(artist), first.slice.id, drawn, utc_now())
        job = Job(
            project_id=project.id,
            kind=JobKind.RETRAIN,
            queue="train",
            step="train",
            state=JobState.SUCCEEDED,
        )
        session.add(job)
        session.flush()
        weights = Blob.of(f"weights of {name}".encode())
        blobs.put(session, weights)
        model = ModelVersion(
            project_id=project.id,
            number=1,
            job_id=job.id,
            architecture={},
            mask_ids=[kept.mask.id],
            scores={},
            seed=0,
            seconds=1.0,
            weights_sha256=weights.sha256,
        )
        session.add(model)
        session.flush()
        session.add(
            Suggestion(
                model_id=model.id,
                slice_id=first.slice.id,
                mask_sha256=drawn.blob.sha256,
                uncertainty_sha256=drawn.blob.sha256,
            )
        )
        asked = transfers.ask(session, TransferKind.EXPORT, name, "png", {}, None)
        # Ended: a stream of its events ends too.
        asked.state = JobState.SUCCEEDED
        hook = Hook(project_id=project.id, url="https://example.org", events=[], secret="x")
        session.add(hook)
        token = create_token(session, f"guest-{name}", Role.VIEWER, project=project)
        return Study(
            {
                "name": name,
                "case": "c",
                "account": "artist",
                "slice_id": first.slice.id,
                "mask_id": kept.mask.id,
                "lease_id": second.lease.id,
                "round_id": batch.round.id,
                "job_id": job.id,
                "model_id": model.id,
                "transfer_id": asked.id,
                "token_id": int(token.split("_")[1]),
                "session_id": 999_999,
                "hook_id": hook.id,
            }
        )


def member(api: Api, role: Role, name: str) -> TestClient:
    """A client of somebody who belongs to that project alone."""
    with api.database.writing() as session:
        project = find_project(session, HERE, name, Role.ADMIN)
        token = create_token(session, f"{role}-of-{name}", role, project=project)
    return client(api, token)


def client(api: Api, token: str | None) -> TestClient:
    made = TestClient(api.client.app, raise_server_exceptions=False)
    if token is not None:
        made.headers["Authorization"] = f"Bearer {token}"
    return made


def ask(who: TestClient, route: tuple[str, str], study: Study):
    (method, path), row = route, TABLE[route]
    return who.request(
        method,
        study.fill(path),
        params=study.fill(row.query),
        json=study.fill(row.json),
        content=row.body,
    )


def test_every_route_says_who_may_use_it(api):
    routes = {
        (method.upper(), path)
        for path, methods in api.client.app.openapi()["paths"].items()
        for method in methods
    }
    assert routes == set(TABLE)


@pytest.mark.parametrize("role", ROLES)
def test_what_each_role_may_do_at_home_and_that_nothing_else_is_there(api, role):
    home, foreign = make_study(api, "home"), make_study(api, "foreign")
    who = member(api, role, "home")
    for route, row in TABLE.items():
        if row.least in (NOBODY, ANYBODY):
            refused = {403, 404, 500} - {row.also}
            assert ask(who, route, home).status_code not in refused, route
            continue
        if row.least == INSTALLATION:
            assert ask(who, route, home).status_code == 403, route
            continue
        status = ask(who, route, home).status_code
        if role.includes(Role(row.least)):
            refused = {401, 403, 404, 500} - {row.also}
            assert status not in refused, (route, status)
        else:
            assert status == 403, (route, status)
        there, nowhere = (problem_of(ask(who, route, study)) for study in (foreign, NOWHERE))
        assert there["status"] == 404, route
        # Nobody can tell what is another's from what is not there at all.
        assert _words(there, foreign) == _words(nowhere, NOWHERE), route


def _words(problem: dict[str, Any], study: Study) -> str:
    said = problem["detail"]
    for number in study.numbers.values():
        said = said.replace(str(number), "*")
    return said


def test_without_a_token_nothing_is_shown(api):
    study = make_study(api, "home")
    for route, row in TABLE.items():
        if row.least != NOBODY:
            assert ask(client(api, None), route, study).status_code == 401, route


def test_lists_hold_what_is_ones_own(api):
    make_study(api, "home"), make_study(api, "foreign")
    who = member(api, Role.VIEWER, "home")
    assert [(p["name"], p["role"]) for p in who.get("/projects").json()["items"]] == [
        ("home", "viewer")
    ]
    # The only one that is theirs needs no name.
    assert len(who.get("/rounds").json()["items"]) == 1
    root = api.as_("root", Role.ADMIN)
    assert {p["name"]: p["role"] for p in root.get("/projects").json()["items"]} == {
        "home": "admin",
        "foreign": "admin",
    }


def test_a_token_of_one_project_is_good_for_that_alone_even_an_admins(api):
    home, foreign = make_study(api, "home"), make_study(api, "foreign")
    root = api.as_("root", Role.ADMIN)
    made = root.post("/tokens", json={"name": "root", "role": "admin", "project": "home"})
    narrow = client(api, made.json()["token"])
    assert narrow.get(f"/slices/{home.numbers['slice_id']}").status_code == 200
    assert narrow.get(f"/slices/{foreign.numbers['slice_id']}").status_code == 404
    assert narrow.post("/projects", json={"name": "q", "classes": ["a", "b"]}).status_code == 403
    assert narrow.delete(f"/tokens/{foreign.numbers['token_id']}").status_code == 404


def test_an_account_without_a_project_joins_those_that_are_and_those_to_come(api):
    make_study(api, "home")
    ann = api.as_("ann", Role.ANNOTATOR)
    make_study(api, "later")
    assert {p["name"]: p["role"] for p in ann.get("/projects").json()["items"]} == {
        "home": "annotator",
        "later": "annotator",
    }
    root = api.as_("root", Role.ADMIN)
    assert root.delete("/projects/home/members/ann").status_code == 204
    assert [p["name"] for p in ann.get("/projects").json()["items"]] == ["later"]
    set_ = root.put("/projects/later/members/ann", json={"role": "reviewer"})
    assert (set_.json()["account"], set_.json()["role"]) == ("ann", "reviewer")
    assert ann.get("/projects/later").json()["role"] == "reviewer"
    listed = root.get("/projects/later/members").json()["items"]
    assert ("ann", "reviewer") in [(m["account"], m["role"]) for m in listed]


def test_a_projects_admin_cannot_become_somebody_of_another_project(api):
    make_study(api, "home"), make_study(api, "foreign")
    chief = member(api, Role.ADMIN, "home")
    # Somebody new, and again: theirs alone.
    for _ in range(2):
        made = chief.post("/tokens", json={"name": "new", "role": "viewer", "project": "home"})
        assert made.status_code == 201
    for name in ("artist", "guest-foreign", "admin-of-home", "consensus", "import"):
        tried = chief.post("/tokens", json={"name": name, "role": "annotator", "project": "home"})
        assert tried.status_code in (403, 409), name
    assert chief.post("/tokens", json={"name": "x", "role": "admin"}).status_code == 403
    assert chief.put("/projects/home/members/root", json={"role": "admin"}).status_code == 404


def test_the_last_admin_cannot_lock_everybody_out(api):
    root = api.as_("root", Role.ADMIN)
    [only] = root.get("/tokens").json()["items"]
    assert "last way in" in problem_of(root.delete(f"/tokens/{only['id']}"))["detail"]
    # An admin without a way in is none to rely on.
    made = root.post("/tokens", json={"name": "away", "role": "admin"}).json()
    number = made["token"].split("_")[1]
    assert root.delete(f"/tokens/{number}").status_code == 204
    assert root.delete(f"/tokens/{only['id']}").status_code == 422
    api.as_("other", Role.ADMIN)
    assert root.delete(f"/tokens/{only['id']}").status_code == 204
    assert root.get("/tokens").status_code == 401


def test_a_mask_that_nobody_asked_for_counts_once_a_reviewer_accepts_it(api):
    root = api.project(slices=6, cases=3)
    pool = [s["id"] for s in root.get("/projects/brain/slices").json()["items"]]
    eager = api.as_("eager", Role.ANNOTATOR)
    for one in pool:
        assert eager.post(f"/slices/{one}/masks", content=mask()).status_code == 201
    progress = root.get("/projects/brain/progress").json()
    assert progress["slices"]["pool"]["labelled"] == 0
    assert progress["job"] is None
    waiting = root.get("/projects/brain/reviews").json()["items"]
    assert {item["slice"] for item in waiting} == set(pool)
    mine = eager.get(f"/slices/{pool[0]}/masks", headers={"accept": "application/json"}).json()
    [drawn] = mine["items"]
    assert drawn["unasked"] is True
    reviewer = api.as_("rev", Role.REVIEWER)
    accepted = reviewer.post(f"/masks/{drawn['id']}/review", json={"verdict": "accepted"})
    assert accepted.status_code == 200
    assert root.get("/projects/brain/progress").json()["slices"]["pool"]["labelled"] == 1
    # Asked for afterwards, the same mask counts without a reviewer.
    handed = eager.get("/query/next", params={"size": 1}).json()["items"][0]
    assert eager.post(f"/slices/{handed['slice']}/masks", content=mask()).status_code == 200
    assert root.get("/projects/brain/progress").json()["slices"]["pool"]["labelled"] == 2


def test_a_lease_that_has_run_out_was_a_lease(api):
    root = api.project(slices=6, cases=3)
    slow = api.as_("slow", Role.ANNOTATOR)
    [item] = slow.get("/query/next").json()["items"]
    assert slow.delete(f"/leases/{item['lease']['id']}").status_code == 204
    posted = slow.post(f"/slices/{item['slice']}/masks", content=mask())
    assert (posted.json()["late"], posted.json()["unasked"]) == (True, False)
    assert root.get("/projects/brain/progress").json()["slices"]["pool"]["labelled"] == 1


def test_a_revision_of_a_mask_that_counts_counts(api):
    root = api.project(slices=6, cases=3)
    one = root.get("/projects/brain/slices").json()["items"][0]["id"]
    rev = api.as_("rev", Role.REVIEWER)
    assert rev.post(f"/slices/{one}/masks", content=mask()).json()["unasked"] is False
    root.put("/projects/brain/members/rev", json={"role": "annotator"})
    revised = rev.post(f"/slices/{one}/masks", content=mask(corner=5)).json()
    assert (revised["revision"], revised["unasked"]) == (2, False)
    assert root.get("/projects/brain/progress").json()["slices"]["pool"]["labelled"] == 1


def test_what_nobody_asked_for_does_not_say_what_is_asked_for_next(api):
    root = api.project(slices=12, cases=3)
    batch = {item["slice"] for item in root.get("/query/next?size=4").json()["items"]}
    eager = api.as_("eager", Role.ANNOTATOR)
    pool = [s["id"] for s in root.get("/projects/brain/slices").json()["items"]]
    outside = next(one for one in pool if one not in batch)
    drawn = eager.post(f"/slices/{outside}/masks", content=mask()).json()
    said = {"verdict": "rejected", "comment": "not asked for"}
    assert root.post(f"/masks/{drawn['id']}/review", json=said).status_code == 200
    assert root.get("/projects/brain/progress").json()["round"]["size"] == 4


@pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.REVIEWER])
def test_cases_that_judge_models_and_sources_are_an_admins(api, role):
    root = api.project(slices=6, cases=3)
    with api.database.writing() as session:
        project = find_project(session, HERE, "brain", Role.ADMIN)
        held_out = ensure_case(session, project, "held-out", Split.TEST)
        slice_id = add_slice(session, held_out, 0, {0: prepared(77)}).slice.id
    who = api.as_("somebody", role)
    refused = who.post(f"/slices/{slice_id}/masks", content=mask())
    assert (refused.status_code, "split test" in refused.json()["detail"]) == (403, True)
    [item] = who.get("/query/next").json()["items"]
    as_oracle = f"/slices/{item['slice']}/masks?source=oracle"
    assert who.post(as_oracle, content=mask()).status_code == 403
    assert root.post(f"/slices/{slice_id}/masks", content=mask()).status_code == 201
    assert root.post(as_oracle, content=mask()).status_code == 201


def test_a_deleted_project_takes_its_tokens_along(api):
    study = make_study(api, "home")
    guest = member(api, Role.VIEWER, "home")
    root = api.as_("root", Role.ADMIN)
    assert guest.get("/projects/home").status_code == 200
    assert root.delete("/projects/home", params={"confirm": "home"}).json()["deleted"]
    assert guest.get("/projects").status_code == 401
    assert study.numbers["token_id"] not in [t["id"] for t in root.get("/tokens").json()["items"]]
    with api.database.reading() as session:
        left = session.query(Account).filter_by(name="viewer-of-home").one()
        assert left.role is None
