"""DELETE over HTTP: an admin's, counted first, carried out by name."""

import numpy as np
import pytest

from app.store import Role
from tests.conftest import mask, picture, png_of, problem_of

PATHS = {
    "/slices/1": "case-0/0",
    "/projects/brain/cases/case-0": "case-0",
    "/projects/brain": "brain",
}


@pytest.mark.parametrize(("path", "name"), PATHS.items())
def test_without_its_name_nothing_goes_and_with_it_all(api, path, name):
    admin = api.project()
    api.as_("ann", Role.REVIEWER).post("/slices/1/masks", content=mask())
    counted = admin.delete(path)
    assert counted.status_code == 200
    said = counted.json()
    assert (said["deleted"], said["confirm"]) == (False, name)
    assert said["counts"]["masks"] == said["counts"]["labels"] == 1
    assert said["counts"]["images"] == {"slice": 1, "case": 2, "project": 6}[said["kind"]]
    assert said["bytes"] > 1000
    wrong = admin.delete(path, params={"confirm": "another"})
    assert wrong.status_code == 422
    assert name in problem_of(wrong)["detail"]
    assert admin.get("/slices/1/image").status_code == 200
    gone = admin.delete(path, params={"confirm": name})
    assert gone.json() == {**said, "deleted": True}
    assert admin.get("/slices/1/image").status_code == 404
    assert admin.post("/slices/1/masks", content=mask()).status_code == 404
    assert admin.delete(path, params={"confirm": name}).status_code == 404


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.REVIEWER])
def test_only_an_admin_deletes(api, path, role):
    api.project()
    reply = api.as_("somebody", role).delete(path, params={"confirm": PATHS[path]})
    assert reply.status_code == 403
    assert api.client.delete(path).status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/slices/999", "/projects/brain/cases/none", "/projects/none", "/projects/none/cases/a"],
)
def test_what_is_not_there_cannot_be_deleted(api, path):
    admin = api.project()
    assert admin.delete(path).status_code == 404


def test_the_audit_says_who_deleted_what(api):
    admin = api.project()
    admin.delete("/projects/brain/cases/case-1", params={"confirm": "case-1"})
    entry = admin.get("/projects/brain/events").json()["items"][-1]
    assert (entry["action"], entry["detail"]["case"]) == ("case.delete", "case-1")
    assert entry["detail"]["counts"]["slices"] == 2
    admin.delete("/projects/brain", params={"confirm": "brain"})
    entry = admin.get("/events").json()["items"][-1]
    assert (entry["action"], entry["detail"]["project"]) == ("project.delete", "brain")
    assert entry["account"] is not None
    assert api.as_("ann").get("/events").status_code == 403


def test_pages_of_a_project_answer_after_a_deletion(api):
    admin = api.project()
    batch = admin.get("/query/next", params={"size": 4}).json()
    for item in batch["items"]:
        admin.delete(
            f"/slices/{item['slice']}", params={"confirm": f"{item['case']}/{item['index']}"}
        )
    for path in (
        "/projects/brain/progress",
        "/rounds",
        "/models",
        "/projects/brain/slices",
        "/jobs",
    ):
        assert admin.get(path).status_code == 200, path
    assert admin.get("/query/next", params={"size": 4}).json()["items"]


def test_what_was_deleted_can_come_in_again_and_is_another_slice(api):
    admin = api.project(slices=0)
    where = {"case": "a", "index": 0}
    first = admin.post("/projects/brain/slices", params=where, content=picture()).json()["id"]
    admin.delete(f"/slices/{first}", params={"confirm": "a/0"})
    other = png_of(np.zeros((8, 9), np.uint8))
    again = admin.post("/projects/brain/slices", params=where, content=other)
    assert again.status_code == 201
    # A mask that was drawn for what is gone must not land on what came after it.
    assert again.json()["id"] > first
    assert admin.post(f"/slices/{first}/masks", content=mask()).status_code == 404
