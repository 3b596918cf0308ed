"""A backup that is made while masks are posted shows one moment; a copied file does not."""

import shutil
import threading

from sqlalchemy import select

from app.backup import make_backup, restore_backup, verify_backup
from app.loop.access import HERE
from app.loop.projects import find_project
from app.store import Database, Role, Slice, utc_now
from tests.backup.installations import everything, masks_of, without_notes
from tests.conftest import mask
from tests.loop.test_leases import annotator, draw, make_pool


def test_what_is_kept_meanwhile_is_not_in_it_and_does_not_wait_for_it(database, fresh, tmp_path):
    make_pool(database, slices=4)
    one = annotator(database, "one")
    for slice_id in (1, 2):
        draw(database, one, slice_id)
    before = everything(database)
    seen = []

    def post_another(what: str, done: int) -> None:
        # Between any two tables, and in the midst of the blobs: writers are not held up.
        if done == 0 or what == "blobs":
            seen.append(what)
            draw(database, one, 3 + len(seen) % 2, utc_now(), corner=1 + len(seen) % 30)

    make_backup(database, tmp_path / "backup", post_another)
    assert {"masks", "labels", "blobs"} <= set(seen)
    assert len(masks_of(database)) > len(before["masks"])
    home = fresh("sqlite")
    restore_backup(home, tmp_path / "backup")
    assert without_notes(everything(home)) == before


def test_every_mask_that_was_answered_before_it_began_is_in_it(api, fresh, tmp_path):
    api.project(slices=6)
    poster = api.as_("ann")
    with api.database.reading() as session:
        project = find_project(session, HERE, "brain", Role.ADMIN)
        slices = list(session.scalars(select(Slice.id).where(Slice.project_id == project.id)))
    kept, refused = [], []
    some, enough = threading.Event(), threading.Event()

    def post() -> None:
        number = 0
        while not enough.is_set():
            body = mask(corner=1 + number % 31)
            reply = poster.post(f"/slices/{slices[number % 6]}/masks", content=body)
            (kept if reply.status_code == 201 else refused).append(reply.json())
            number += 1
            if number >= 20:
                some.set()

    thread = threading.Thread(target=post)
    thread.start()
    try:
        assert some.wait(60)
        answered = {one["id"] for one in list(kept)}
        make_backup(api.database, tmp_path / "backup")
    finally:
        enough.set()
        thread.join()
    assert refused == []
    assert list(verify_backup(tmp_path / "backup")) == []
    home = fresh("sqlite")
    restore_backup(home, tmp_path / "backup")
    held = masks_of(home)
    assert answered <= held <= {one["id"] for one in kept}
    # One moment: no mask without those before it, and each with its entry in the audit.
    assert held == set(range(1, len(held) + 1))
    entries = [e for e in everything(home)["events"] if e["action"] == "mask.submit"]
    assert {entry["detail"]["mask"] for entry in entries} == held


def test_a_copy_of_the_file_lacks_what_a_backup_has(sqlite_database, fresh, tmp_path):
    make_pool(sqlite_database, slices=4)
    one = annotator(sqlite_database, "one")
    for slice_id in (1, 2, 3, 4):
        draw(sqlite_database, one, slice_id)
    shutil.copy(sqlite_database.engine.url.database, tmp_path / "copy.db")
    make_backup(sqlite_database, tmp_path / "backup")
    copied = Database(f"sqlite:///{tmp_path / 'copy.db'}")
    home = fresh("sqlite")
    restore_backup(home, tmp_path / "backup")
    assert len(masks_of(home)) == 4
    assert len(masks_of(copied)) < 4
    copied.dispose()
