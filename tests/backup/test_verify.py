"""`sfumato verify` names what is wrong, and finds nothing where all is well."""

import re

import numpy as np
import pytest
from sqlalchemy import delete, select, text, update

from app.backup import make_backup, restore_backup, verify_backup, verify_database
from app.core.blob import Blob
from app.store import (
    Image,
    Label,
    Mask,
    ReviewState,
    Slice,
    StoredBlob,
    Suggestion,
    Truth,
    blobs,
)
from tests.conftest import mask, png_of
from tests.loop.deleting import full_project
from tests.loop.test_leases import annotator, ask, draw, make_pool


@pytest.fixture
def labelled(database):
    """Six slices of 32 × 32 pixels; the first two have the masks 1 and 2 as their labels."""
    one = annotator(database, "one")
    ask(database, make_pool(database), one, 6)
    for slice_id in (1, 2):
        draw(database, one, slice_id, corner=3 + slice_id)
    return database


def faults_of(database) -> list[str]:
    return list(verify_database(database))


def change(database, *statements) -> None:
    with database.writing() as session:
        for statement in statements:
            session.execute(statement)


def put(database, body: bytes) -> str:
    blob = Blob.of(body)
    with database.writing() as session:
        blobs.put(session, blob)
    return blob.sha256


def test_bytes_that_changed_or_went_are_named_with_what_refers_to_them(labelled):
    with labelled.reading() as session:
        image, drawn = session.scalar(select(Image.sha256)), session.get_one(Mask, 1).sha256
    change(
        labelled,
        update(StoredBlob).where(StoredBlob.sha256 == image).values(data=b"other bytes"),
        delete(StoredBlob).where(StoredBlob.sha256 == drawn),
    )
    lone = put(labelled, b"nobody's")
    found = "\n".join(faults_of(labelled))
    assert f"the bytes {image} are damaged" in found
    assert re.search(r"channel 0 of slice \d cannot be decoded", found)
    assert f"masks.sha256 names the bytes {drawn}, which are not there" in found
    assert f"the bytes {lone} are there, and no row names them" in found
    assert len(found.splitlines()) == 4


def test_a_mask_that_does_not_fit_its_slice_is_named(labelled):
    wrong = {
        "mask 1 is 16 × 32 pixels, its slice is 32 × 32 pixels": png_of(
            np.zeros((32, 16), np.uint8)
        ),
        "mask 1 holds class 2, its project has 2": mask(value=2),
        "mask 1 has 64 foreground pixels, its row says 16": mask(corner=8),
        "mask 1 cannot be decoded": b"no picture",
    }
    with labelled.reading() as session:
        right = session.get_one(Mask, 1).sha256
    for words, body in wrong.items():
        change(
            labelled,
            update(Mask).where(Mask.id == 1).values(sha256=put(labelled, body)),
            delete(StoredBlob).where(StoredBlob.sha256 == right),
        )
        (fault,) = faults_of(labelled)
        assert words in fault
        right = Blob.of(body).sha256


def test_a_whole_project_has_no_faults_and_all_of_it_is_looked_at(database, tmp_path):
    full_project(database)
    assert faults_of(database) == []
    make_backup(database, tmp_path / "backup")
    assert list(verify_backup(tmp_path / "backup")) == []
    small = put(database, mask(size=8))
    change(
        database,
        update(Truth).where(Truth.slice_id == 3).values(sha256=small),
        update(Suggestion).values(mask_sha256=small),
        update(Image).where(Image.slice_id == 4).values(bits=12, sha256=small),
        delete(Image).where(Image.slice_id == 5),
    )
    found = "\n".join(fault for fault in faults_of(database) if "no row names" not in fault)
    assert "truth of slice 3 is 8 × 8 pixels, its slice is 32 × 32 pixels" in found
    assert re.search(r"suggestion for slice \d+ is 8 × 8 pixels", found)
    assert "channel 0 of slice 4 is 8 × 8 pixels" in found
    assert "slice 5 is said to be complete, and has 0 of 1 channels" in found


def test_a_label_points_at_a_mask_of_its_slice_that_stands(labelled):
    change(
        labelled,
        update(Label).where(Label.slice_id == 1).values(mask_id=2),
        update(Mask).where(Mask.id == 2).values(review_state=ReviewState.REJECTED),
    )
    assert faults_of(labelled) == [
        "the label of slice 1 is mask 2, which is of slice 2",
        "the label of slice 2 is mask 2, which was rejected",
    ]


def test_rows_that_refer_to_nothing_and_numbers_given_twice_are_named(labelled):
    with labelled.engine.connect() as connection:
        if labelled.engine.dialect.name == "sqlite":
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
            behind = "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'masks'"
        else:
            dropped = "ALTER TABLE labels DROP CONSTRAINT fk_labels_mask_id"
            connection.execute(text(dropped))
            behind = "SELECT setval('masks_id_seq', 1)"
        connection.execute(text("UPDATE labels SET mask_id = 77 WHERE slice_id = 2"))
        connection.execute(text(behind))
        connection.commit()
        connection.invalidate()
    found = faults_of(labelled)
    assert "1 rows of labels refer with mask_id to masks 77, which is not there" in found
    assert "the next number of masks may be one that is there: its highest is 2" in found
    assert len(found) == 2


def test_damaged_bytes_do_not_keep_the_rest_from_being_saved(labelled, fresh, tmp_path):
    with labelled.reading() as session:
        drawn = session.get_one(Mask, 1).sha256
    damage = update(StoredBlob).where(StoredBlob.sha256 == drawn).values(data=b"other bytes")
    change(labelled, damage)
    made = make_backup(labelled, tmp_path / "backup")
    assert made.damaged == [drawn]
    home = fresh("sqlite")
    restore_backup(home, tmp_path / "backup")
    with home.reading() as session:
        assert session.get_one(Slice, 1).complete
        assert drawn not in blobs.those_there(session, [drawn])
    found = list(verify_backup(tmp_path / "backup"))
    assert f"the bytes {drawn} were damaged when the backup was made, and are not in it" in found
    assert f"masks.sha256 names the bytes {drawn}, which are not there" in found
