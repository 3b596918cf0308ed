"""Whole data sets over HTTP: archives in and out."""

import io
import zipfile

from app.store import Role
from tests.api.test_people import post, take
from tests.conftest import picture, problem_of


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def test_an_archive_is_imported_once_wherever_its_folder_lies(api):
    admin = api.as_("root", Role.ADMIN)
    files = {f"images/a/{i}.png": picture(seed=i) for i in range(3)}
    where = {"layout": "png"}
    first = admin.post("/projects/new/imports", params=where, content=archive(**files))
    found = first.json()
    assert (found["cases"], found["new_slices"], found["known_slices"]) == (1, 3, 0)
    assert found["refused"] == found["warnings"] == found["left_out"] == {}
    deeper = {f"some/folder/{name}": content for name, content in files.items()}
    again = admin.post("/projects/new/imports", params=where, content=archive(**deeper))
    assert again.json()["known_slices"] == 3
    assert api.as_("ann").post("/projects/new/imports", params=where).status_code == 403


def test_an_archive_that_cannot_be_taken_is_refused_in_words(api):
    admin = api.as_("root", Role.ADMIN)
    for body in (b"", b"no zip", archive(**{"a.txt": b"x"}), archive(**{"../../evil": b"x"})):
        refused = admin.post("/projects/new/imports", params={"layout": "png"}, content=body)
        assert refused.status_code == 422
        detail = problem_of(refused)["detail"]
        assert "sfumato-import" not in detail
    with zipfile.ZipFile(packed := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", b"\0" * 60_000_000)
    bomb = admin.post("/projects/new/imports", params={"layout": "png"}, content=packed.getvalue())
    assert "would unpack" in problem_of(bomb)["detail"]


def test_what_is_labelled_comes_out_as_an_archive(api):
    admin = api.project()
    nothing = admin.get("/projects/brain/export")
    assert nothing.status_code == 422
    ann = api.as_("ann")
    post(ann, take(ann)[0]["slice"])
    reply = admin.get("/projects/brain/export")
    assert reply.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(reply.content)) as opened:
        names = opened.namelist()
    assert "brain/dataset.json" in names
    assert sum(name.startswith("brain/labelsTr/case") for name in names) == 1
    assert ann.get("/projects/brain/export").status_code == 403
