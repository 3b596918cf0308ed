"""Deleting takes its time: in parts, beside other writers, and down to the disk."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from app.cli import cli
from app.core.errors import NotFound
from app.core.prepared import prepare_image
from app.core.project_settings import ProjectSettings
from app.core.splits import Split
from app.loop import deletes
from app.loop.access import HERE
from app.loop.deletions import of_case, of_project
from app.loop.projects import create_project
from app.loop.slices import add_slice, ensure_case
from app.store import (
    Case,
    Database,
    Image,
    Mask,
    Project,
    Slice,
    StoredBlob,
    utc_now,
)
from tests.loop.deleting import blobs_that_nothing_refers_to, delete
from tests.loop.test_leases import annotator, draw
from tests.worker.projects import count, make_project


def test_a_large_case_goes_in_parts_and_after_an_interruption_the_rest(database, monkeypatch):
    monkeypatch.setattr(deletes, "SLICES_AT_ONCE", 2)
    with database.writing() as session:
        project = create_project(session, "p", ProjectSettings())
        case = ensure_case(session, project, "c", Split.POOL)
        for index in range(7):
            add_slice(session, case, index, {0: prepare_image(np.full((8, 8), index, np.uint8))})
    with database.reading() as session:
        planned = of_case(session, HERE, "p", "c")
    for number, step in enumerate(deletes.steps(planned, "c", None)):
        if number == 3:
            break
        with database.writing() as session:
            step(session)
    assert count(database, Slice) == 3
    assert count(database, StoredBlob) == 3
    assert delete(database, lambda session: of_case(session, HERE, "p", "c")).counts["slices"] == 3
    assert (count(database, Slice), count(database, StoredBlob), count(database, Case)) == (0, 0, 0)


def test_what_was_deleted_on_a_sqlite_disk_cannot_be_read_there(database):
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's autovacuum clears its pages")
    noise = np.random.default_rng(0).integers(0, 65_536, (8, 64, 64)).astype(np.uint16)
    with database.writing() as session:
        project = create_project(session, "p", ProjectSettings())
        case = ensure_case(session, project, "c", Split.POOL)
        for index, pixels in enumerate(noise):
            add_slice(session, case, index, {0: prepare_image(pixels)})
    with database.reading() as session:
        trails = [body[2000:2100] for body in session.scalars(select(StoredBlob.data))]
    path = Path(database.engine.url.database)
    with database.engine.connect() as other:
        # Somebody else has the file open, so that the log is not dropped on closing it.
        other.execute(select(func.count()).select_from(Slice))
        other.rollback()
        before = path.read_bytes() + Path(f"{path}-wal").read_bytes()
        assert [trail for trail in trails if trail not in before] == []
        delete(database, lambda session: of_case(session, HERE, "p", "c"))
        database.forget_log()
        after = path.read_bytes() + Path(f"{path}-wal").read_bytes()
        assert [trail for trail in trails if trail in after] == []


def test_a_mask_of_what_is_being_deleted_is_not_found_and_bytes_of_others_survive(database):
    """Masks with the same bytes, posted to two projects while one of them is deleted."""
    ids = {}
    with database.writing() as session:
        for name in ("goes", "stays"):
            project = create_project(session, name, ProjectSettings())
            case = ensure_case(session, project, "c", Split.POOL)
            ids[name] = [
                add_slice(
                    session, case, n, {0: prepare_image(np.full((32, 32), n, np.uint8))}
                ).slice.id
                for n in range(12)
            ]
    crew = {name: annotator(database, name) for name in ids}
    start = threading.Barrier(3)
    failed: list[Exception] = []

    def post(name: str) -> None:
        start.wait()
        for slice_id in ids[name]:
            try:
                draw(database, crew[name], slice_id, utc_now(), corner=slice_id % 3)
            except NotFound:
                assert name == "goes"
            except Exception as error:
                failed.append(error)

    def remove() -> None:
        start.wait()
        try:
            delete(database, lambda session: of_project(session, HERE, "goes"))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=post, args=(name,)) for name in ids]
    threads.append(threading.Thread(target=remove))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with database.reading() as session:
        assert set(session.scalars(select(Project.name))) == {"stays"}
        names = set(session.scalars(select(StoredBlob.sha256)))
        assert set(session.scalars(select(Mask.sha256))) <= names
        assert set(session.scalars(select(Image.sha256))) <= names
        assert session.scalar(select(func.count()).select_from(Mask)) == 12
    assert blobs_that_nothing_refers_to(database) == set()


def test_on_the_command_line_too(tmp_path, sqlite_template):
    shutil.copy(sqlite_template, tmp_path / "sfumato.db")
    database = Database(f"sqlite:///{tmp_path / 'sfumato.db'}")
    make_project(database)
    delete_it = ["project", "delete", "p", "--data", str(tmp_path)]
    counted = CliRunner().invoke(cli, delete_it)
    assert counted.exit_code == 0
    assert "15 slices" in counted.output
    assert "nothing is deleted" in counted.output
    assert count(database, Slice) == 15
    assert CliRunner().invoke(cli, [*delete_it, "--confirm", "q"]).exit_code != 0
    assert "is deleted" in CliRunner().invoke(cli, [*delete_it, "--confirm", "p"]).output
    assert count(database, Project) == 0
    database.dispose()
