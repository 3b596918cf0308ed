"""What is deleted is gone everywhere, what is not stays whole, and the loop goes on."""

import json
import shutil
import threading
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from app.cli import cli
from app.core.errors import InvalidInput, NotFound
from app.core.prepared import prepare_image, prepare_mask
from app.core.project_settings import ProjectSettings
from app.core.splits import Split
from app.loop import deletes, traces
from app.loop.accounts import named_account
from app.loop.audit import list_events
from app.loop.deletions import Deletion, of_case, of_project, of_slice
from app.loop.projects import create_project
from app.loop.reviews import review_mask
from app.loop.slices import add_slice, ensure_case
from app.loop.truths import add_truth
from app.store import (
    Account,
    Base,
    Case,
    Database,
    Event,
    Image,
    Job,
    JobState,
    Label,
    Mask,
    ModelVersion,
    Project,
    QueryItem,
    ReviewState,
    Role,
    Round,
    Slice,
    StoredBlob,
    utc_now,
)
from tests.loop.test_leases import annotator, ask, draw, give_back, slices_of
from tests.worker.projects import count, job_of, label_batch, make_project, runner

# Columns of 64 characters that name no bytes among the blobs.
NO_BLOBS = {"blobs.sha256", "tokens.sha256", "sign_ins.sha256"}


def delete(database, find, confirm=None, admin="root") -> Deletion:
    """Plan and, unless it is only asked for, carry out."""
    with database.writing() as session:
        by = named_account(session, admin, Role.ADMIN)
    with database.reading() as session:
        planned = find(session)
    for step in deletes.steps(planned, confirm or planned.confirm, by):
        with database.writing() as session:
            step(session)
    return planned


def full_project(database) -> Project:
    """A project in which something is kept in every table that a slice can be in."""
    project = make_project(database, size=4, initial="random")
    one = annotator(database, "one")
    give_back(database, one, ask(database, project, one), reason="artefact of Anna")
    label_batch(database, project)
    with database.writing() as session:
        reviewer = named_account(session, "rev", Role.REVIEWER)
        for mask_id in session.scalars(select(Mask.id).join(Label)).all():
            review_mask(session, reviewer, mask_id, ReviewState.ACCEPTED, f"fine {mask_id}")
    first = labelled(database)[0]
    draw(database, annotator(database, "other"), first, corner=5)
    with database.writing() as session:
        for slice_ in session.scalars(select(Slice)).all():
            add_truth(session, slice_, prepare_mask(np.full((32, 32), 1, np.uint8)))
    runner(database).work()
    ask(database, project, one, 2, utc_now())
    return project


def labelled(database) -> list[int]:
    with database.reading() as session:
        query = select(Label.slice_id).join(Slice, Slice.id == Label.slice_id)
        return list(
            session.scalars(query.where(Slice.split == Split.POOL).order_by(Label.slice_id))
        )


def case_of(database, slice_id: int) -> str:
    with database.reading() as session:
        return session.get_one(Case, session.get_one(Slice, slice_id).case_id).name


def rows_that_refer(database, table: str, ids: set[int]) -> dict[str, int]:
    """How many rows refer to these rows of a table, by the column: found in the schema."""
    found = {}
    with database.reading() as session:
        for one in Base.metadata.tables.values():
            for column in one.columns:
                if any(key.column.table.name == table for key in column.foreign_keys):
                    query = select(func.count()).select_from(one).where(column.in_(ids))
                    found[f"{one.name}.{column.name}"] = session.scalar(query)
    return found


def blobs_that_nothing_refers_to(database) -> set[str]:
    with database.reading() as session:
        names = set(session.scalars(select(StoredBlob.sha256)))
        for one in Base.metadata.tables.values():
            for column in one.columns:
                if f"{one.name}.{column.name}" not in NO_BLOBS and "sha256" in column.name:
                    names -= set(session.scalars(select(column)))
        return names


def test_every_column_that_names_a_slice_a_mask_a_project_or_bytes_is_known():
    known = {
        "slices": {str(c) for c in traces.OF_SLICES},
        "masks": {str(c) for c in traces.OF_MASKS},
        # What belongs to a slice or to nobody goes with it, or stays without its project.
        "projects": {str(c) for c in traces.OF_PROJECTS}
        | {str(ModelVersion.project_id), str(Job.project_id)}
        | {str(Slice.project_id), str(Event.project_id)},
    }
    named = {table: set() for table in known}
    for mapper in Base.registry.mappers:
        for column in mapper.local_table.columns:
            for key in column.foreign_keys:
                if key.column.table.name in named:
                    attribute = getattr(mapper.class_, mapper.get_property_by_column(column).key)
                    named[key.column.table.name].add(str(attribute))
    assert named == known
    of_blobs = {str(c) for c, _ in traces.BLOBS_OF_SLICES} | {str(traces.BLOBS_OF_MODELS)}
    with_names = {
        f"{mapper.class_.__name__}.{column.name}"
        for mapper in Base.registry.mappers
        for column in mapper.local_table.columns
        if "sha256" in column.name
        and column.name != "upload_sha256"
        and f"{mapper.local_table.name}.{column.name}" not in NO_BLOBS
    }
    assert with_names == of_blobs


def test_a_case_goes_everywhere_and_the_others_stay(database):
    project = full_project(database)
    name = case_of(database, labelled(database)[0])
    with database.reading() as session:
        case = session.scalars(select(Case).where(Case.name == name)).one()
        ids = set(session.scalars(select(Slice.id).where(Slice.case_id == case.id)))
        masks = set(session.scalars(select(Mask.id).where(Mask.slice_id.in_(ids))))
        others = {
            row.sha256
            for row in session.execute(select(Image.sha256).where(Image.slice_id.not_in(ids)))
        }
        concerned = {
            event.id: event.detail
            for event in session.scalars(select(Event))
            if event.detail.get("slice") in ids or event.detail.get("mask") in masks
        }
    before = rows_that_refer(database, "slices", ids)
    assert all(before.values()), f"the test has nothing in {before}"
    assert all(rows_that_refer(database, "masks", masks).values())
    assert concerned
    gone = delete(database, lambda session: of_case(session, "p", name))
    assert gone.deleted
    assert gone.counts["slices"] == len(ids) == 3
    assert gone.counts["masks"] == len(masks)
    assert gone.counts["events"] == len(concerned)
    assert gone.counts["cases"] == 1
    assert {
        f"{c.class_.__tablename__}.{c.key}": gone.counts[c.class_.__tablename__]
        for c in traces.OF_SLICES
    } == before
    assert not any(rows_that_refer(database, "slices", ids).values())
    assert not any(rows_that_refer(database, "masks", masks).values())
    assert blobs_that_nothing_refers_to(database) == set()
    with database.reading() as session:
        assert session.scalar(select(func.count()).where(Case.name == name)) == 0
        assert others <= set(session.scalars(select(StoredBlob.sha256)))
        for event_id, detail in concerned.items():
            said = json.dumps(detail, sort_keys=True, separators=(",", ":")).encode()
            assert session.get_one(Event, event_id).detail == {"sha256": sha256(said).hexdigest()}
        entry = session.scalars(select(Event).where(Event.action == "case.delete")).one()
        assert entry.detail["case"] == name
        assert entry.detail["counts"] == gone.counts
        assert session.get_one(Account, entry.account_id).name == "root"
    # The loop turns once more.
    label_batch(database, project)
    runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED, job_of(database).error


def test_models_that_learned_from_it_are_named_and_stay(database):
    make_project(database)
    with database.reading() as session:
        project = session.scalars(select(Project)).one()
    label_batch(database, project)
    runner(database).work()
    with database.reading() as session:
        model = session.scalars(select(ModelVersion)).one()
        trained = session.get_one(Mask, model.mask_ids[0]).slice_id
        untouched = session.scalars(
            select(Slice.id).where(Slice.id.not_in(select(Label.slice_id)))
        ).first()
    assert delete(database, lambda session: of_slice(session, untouched)).models == []
    gone = delete(database, lambda session: of_slice(session, trained))
    assert [(one.id, one.number) for one in gone.models] == [(model.id, 1)]
    with database.reading() as session:
        assert session.scalars(select(ModelVersion)).one().mask_ids == model.mask_ids
        entry = session.scalars(select(Event).order_by(Event.id.desc())).first()
        assert entry.detail["models"] == [1]


def test_bytes_that_others_use_stay(database):
    with database.writing() as session:
        for name in ("one", "other"):
            project = create_project(session, name, ProjectSettings())
            case = ensure_case(session, project, "c", Split.POOL)
            for index in range(2):
                shared = prepare_image(np.full((8, 8), index, np.uint8))
                add_slice(session, case, index, {0: shared})
    with database.reading() as session:
        planned = of_project(session, "one")
        assert (planned.bytes, planned.counts["blobs"]) == (0, 0)
    delete(database, lambda session: of_project(session, "one"))
    assert count(database, StoredBlob) == 2
    gone = delete(database, lambda session: of_project(session, "other"))
    assert gone.counts["blobs"] == 2
    assert gone.bytes > 100
    assert count(database, StoredBlob) == 0


def test_a_project_goes_with_models_and_jobs_and_only_its_deletion_is_remembered(database):
    full_project(database)
    gone = delete(database, lambda session: of_project(session, "p"))
    assert gone.counts["models"] == 1
    for table in Base.metadata.tables.values():
        if table.name in ("accounts", "tokens", "sign_ins", "events", "workers"):
            continue
        if table.name != "alembic_version":
            with database.reading() as session:
                assert session.scalar(select(func.count()).select_from(table)) == 0, table.name
    with database.reading() as session:
        events = list_events(session, None, None, 200).items
        assert [e.action for e in events].count("project.delete") == 1
        for event in events:
            if event.action == "project.delete":
                assert event.detail["project"] == "p"
            elif not event.action.startswith("token"):
                assert set(event.detail) == {"sha256"}
    with database.reading() as session, pytest.raises(NotFound):
        of_project(session, "p")


def test_a_large_case_goes_in_parts_and_after_an_interruption_the_rest(database, monkeypatch):
    monkeypatch.setattr(deletes, "SLICES_AT_ONCE", 2)
    with database.writing() as session:
        project = create_project(session, "p", ProjectSettings())
        case = ensure_case(session, project, "c", Split.POOL)
        for index in range(7):
            add_slice(session, case, index, {0: prepare_image(np.full((8, 8), index, np.uint8))})
    with database.reading() as session:
        planned = of_case(session, "p", "c")
    for number, step in enumerate(deletes.steps(planned, "c", None)):
        if number == 3:
            break
        with database.writing() as session:
            step(session)
    assert count(database, Slice) == 3
    assert count(database, StoredBlob) == 3
    assert delete(database, lambda session: of_case(session, "p", "c")).counts["slices"] == 3
    assert (count(database, Slice), count(database, StoredBlob), count(database, Case)) == (0, 0, 0)


def test_another_name_deletes_nothing(database):
    make_project(database)
    with database.reading() as session:
        planned = of_case(session, "p", "case-0")
    with pytest.raises(InvalidInput, match="case-0"):
        deletes.steps(planned, "case-1", None)
    assert count(database, Slice) == 15


def test_the_last_slice_takes_its_case_along(database):
    with database.writing() as session:
        project = create_project(session, "p", ProjectSettings())
        case = ensure_case(session, project, "c", Split.POOL)
        ids = [
            add_slice(session, case, n, {0: prepare_image(np.full((8, 8), n, np.uint8))}).slice.id
            for n in range(2)
        ]
    assert delete(database, lambda session: of_slice(session, ids[0])).counts["cases"] == 0
    assert delete(database, lambda session: of_slice(session, ids[1])).counts["cases"] == 1
    assert count(database, Case) == 0


def test_a_batch_of_which_all_was_deleted_is_followed_by_the_next(database):
    project = make_project(database)
    label_batch(database, project)
    runner(database).work()
    with database.reading() as session:
        round_ = session.scalars(select(Round).order_by(Round.number.desc())).first()
        asked = list(
            session.scalars(select(QueryItem.slice_id).where(QueryItem.round_id == round_.id))
        )
    for slice_id in asked:
        gone = delete(database, lambda session, one=slice_id: of_slice(session, one))
    assert gone.queues == {"train"}
    runner(database).work()
    assert slices_of(ask(database, project, annotator(database, "one"), 3, utc_now()))


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
        delete(database, lambda session: of_case(session, "p", "c"))
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
            delete(database, lambda session: of_project(session, "goes"))
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
