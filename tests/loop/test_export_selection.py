"""Which masks go out, what the card says of them, and an export that is stopped."""

import io
import json
import tempfile
import zipfile

import mlcroissant as mlc
import numpy as np
import pytest
from PIL import Image

from app.core.errors import InvalidInput
from app.core.pixels import encode
from app.core.prepared import prepare_mask
from app.exporting import ExportOptions, export_project, stream_project
from app.importing import ImportStopped
from app.loop.access import Reader
from app.loop.chosen_masks import Selection
from app.loop.masks import Making, submit_mask
from app.loop.reviews import review_mask
from app.store import Label, Mask, ReviewState, Role, Slice, utc_now
from tests.conftest import problem_of
from tests.people import named_account


def draw(database, name, slice_id, rows, seconds=None):
    """A reader's mask whose first ``rows`` rows are the lesion."""
    pixels = np.zeros((32, 32), dtype=np.uint8)
    pixels[:rows] = 1
    with database.writing() as session:
        # Of a reviewer: what they draw counts without being asked for.
        account = named_account(session, name, Role.REVIEWER)
        drawn = prepare_mask(pixels, upload=encode(pixels))
        making = Making(seconds=seconds)
        return submit_mask(session, Reader(account), slice_id, drawn, utc_now(), making).mask.id


def accept(database, mask_id, verdict=ReviewState.ACCEPTED):
    with database.writing() as session:
        reviewer = named_account(session, "rev", Role.REVIEWER)
        review_mask(session, Reader(reviewer), mask_id, verdict, "look again")


@pytest.fixture
def drawn(api):
    """Two readings of the first slice, one of the second, which is accepted; slices by index."""
    api.project(slices=6, cases=2)
    with api.database.reading() as session:
        ids = [s.id for s in session.query(Slice).order_by(Slice.case_id, Slice.index)]
    draw(api.database, "ann", ids[0], 1, seconds=12.5)
    draw(api.database, "bob", ids[0], 2)
    accept(api.database, draw(api.database, "bob", ids[1], 3))
    rejected = draw(api.database, "ann", ids[3], 4)
    accept(api.database, rejected, ReviewState.REJECTED)
    return ids


def rows_of(out, folder="masks"):
    """By case and index, how many rows a mask marks."""
    return {
        f"{path.parent.name}/{path.stem}": int((np.asarray(Image.open(path))[:, 0] > 0).sum())
        for path in sorted((out / folder).rglob("*.png"))
    }


def export(api, tmp_path, format_="png", licence=None, **chosen):
    out = tmp_path / "out"
    options = ExportOptions(format_, Selection(**chosen), licence=licence)
    return out, export_project(api.database, "brain", out, options)


def test_labels_go_out_by_default(api, drawn, tmp_path):
    out, report = export(api, tmp_path)
    assert rows_of(out) == {"case-0/000": 1, "case-0/001": 3}
    assert (report.cases, report.masks) == (1, 2)


def test_only_what_was_accepted(api, drawn, tmp_path):
    out, _ = export(api, tmp_path, only="accepted")
    assert rows_of(out) == {"case-0/001": 3}


def test_one_readers_masks(api, drawn, tmp_path):
    out, _ = export(api, tmp_path, reader="bob")
    assert rows_of(out) == {"case-0/000": 2, "case-0/001": 3}


def test_a_rejected_mask_and_a_nobody_have_nothing_to_export(api, drawn, tmp_path):
    with pytest.raises(InvalidInput, match=r"nobody called 'eve' .* choose one of ann, bob"):
        export(api, tmp_path, reader="eve")
    with pytest.raises(InvalidInput, match="no labelled slice of those that were asked for"):
        export(api, tmp_path, reader="ann", only="accepted")
    with pytest.raises(InvalidInput, match="not for both"):
        export(api, tmp_path, reader="ann", all_readings=True)
    with pytest.raises(InvalidInput, match="has no round 7"):
        export(api, tmp_path, round=7)


def test_all_readings_lie_side_by_side(api, drawn, tmp_path):
    out, report = export(api, tmp_path, all_readings=True)
    assert rows_of(out) == {"case-0/000": 1, "case-0/001": 3}
    assert rows_of(out, "readings/ann") == {"case-0/000": 1}
    assert rows_of(out, "readings/bob") == {"case-0/000": 2, "case-0/001": 3}
    assert report.masks == 5


@pytest.mark.parametrize("format_", ["decathlon", "nifti", "nnunet", "coco"])
def test_every_format_takes_all_readings(api, drawn, tmp_path, format_):
    out, report = export(api, tmp_path, format_, all_readings=True)
    assert report.masks == 5
    names = {p.parent.name for p in out.rglob("readings/*/*") if p.is_file()}
    assert names == {"ann", "bob"}


def test_what_one_round_asked_for(api, tmp_path):
    admin = api.project(slices=6, cases=2, size=2)
    asked = admin.get("/query/next", params={"size": 2}).json()
    with api.database.reading() as session:
        ids = [s.id for s in session.query(Slice).order_by(Slice.id)]
    for slice_id in ids:
        draw(api.database, "ann", slice_id, 1)
    out, _ = export(api, tmp_path, round=asked["round"])
    expected = {f"{i['case']}/{i['index']:03d}" for i in asked["items"]}
    assert set(rows_of(out)) == expected


def test_the_card_tells_how_each_mask_came_about(api, drawn, tmp_path):
    out, _ = export(api, tmp_path, licence="https://creativecommons.org/licenses/by/4.0/")
    card = mlc.Dataset(jsonld=str(out / "croissant.json"))
    assert not card.metadata.issues.errors
    assert not card.metadata.issues.warnings
    # Every word of it is Croissant's, and as its own library writes it.
    assert card.metadata.to_json() | {"datePublished": None} == json.loads(
        (out / "croissant.json").read_text()
    ) | {"datePublished": None}
    assert card.metadata.license == ["https://creativecommons.org/licenses/by/4.0/"]
    assert "1 cases, 2 masks" in card.metadata.description
    first, second = (
        {key.removeprefix("masks/"): value for key, value in record.items()}
        for record in card.records("masks")
    )
    assert (first["annotator"], first["seconds"], first["origin"]) == (b"ann", 12.5, b"drawn")
    assert (first["review"], first["reviewer"]) == (b"pending", None)
    assert (second["index"], second["place"], second["reading"]) == (1, 1, False)
    assert (second["review"], second["reviewer"]) == (b"accepted", b"rev")
    assert second["created_at"] <= second["reviewed_at"]
    settings = json.loads((out / "project.json").read_text())
    assert settings["query"]["size"] == 4
    assert settings["classes"] == ["background", "lesion"]


def test_an_export_can_be_stopped_and_leaves_nothing(api, tmp_path):
    api.project(slices=6, cases=3)
    with api.database.reading() as session:
        ids = [s.id for s in session.query(Slice).order_by(Slice.id)]
    for slice_id in ids:
        draw(api.database, "ann", slice_id, 1)
    told = []

    def on_case(*progress) -> None:
        told.append(progress)
        if len(told) == 2:
            raise ImportStopped("enough")

    out = tmp_path / "out"
    with pytest.raises(ImportStopped):
        export_project(api.database, "brain", out, None, on_case)
    assert told == [(1, 3, "case-0"), (2, 3, "case-1")]
    assert not out.exists()


def test_an_archive_that_nobody_fetches_to_its_end_leaves_nothing(
    api, drawn, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    archive = stream_project(api.database, "brain", ExportOptions("png"))
    assert next(archive).startswith(b"PK")
    assert list(tmp_path.glob("sfumato-export-*"))
    archive.close()
    assert not list(tmp_path.glob("sfumato-export-*"))


def test_a_case_that_is_deleted_meanwhile_is_named(api, drawn, tmp_path):
    case = draw(api.database, "ann", drawn[4], 2) and "case-1"

    def delete(done, total, name) -> None:
        with api.database.writing() as session:
            for table in (Label, Mask):
                session.query(table).filter_by(slice_id=drawn[4]).delete()

    options = ExportOptions("png")
    report = export_project(api.database, "brain", tmp_path / "out", options, delete)
    assert (report.cases, list(report.left_out)) == (1, [case])


def test_over_http_an_export_is_chosen_the_same_way(api, drawn):
    admin = api.as_("root", Role.ADMIN)
    asked = {"format": "png", "reader": "bob", "licence": "CC0"}
    reply = admin.get("/projects/brain/export", params=asked)
    assert reply.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(reply.content)) as opened:
        assert opened.testzip() is None
        names = set(opened.namelist())
        card = json.loads(opened.read("brain/croissant.json"))
    assert {f"brain/masks/case-0/00{n}.png" for n in (0, 1)} <= names
    assert {"brain/masks.csv", "brain/export-report.json"} <= names
    assert card["license"] == "CC0"
    for wrong, word in (
        ({"format": "stl"}, "there is no writer 'stl'"),
        ({"reader": "eve"}, "nobody called 'eve'"),
        ({"format": "dicom-seg"}, "case-0: it did not come from DICOM"),
    ):
        refused = admin.get("/projects/brain/export", params=wrong)
        assert refused.status_code == 422
        assert word in problem_of(refused)["detail"]
    assert admin.get("/projects/nobody/export").status_code == 404
