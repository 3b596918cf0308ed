"""What is deleted is gone everywhere, what is not stays whole, and the loop goes on."""

import json
from hashlib import sha256

import numpy as np
import pytest
from sqlalchemy import func, select

from app.core.errors import InvalidInput, NotFound
from app.core.prepared import prepare_image
from app.core.project_settings import ProjectSettings
from app.core.splits import Split
from app.loop import deletes, traces
from app.loop.access import HERE
from app.loop.audit import list_events
from app.loop.deletions import of_case, of_project, of_slice
from app.loop.projects import create_project
from app.loop.slices import add_slice, ensure_case
from app.store import (
    Account,
    Base,
    Case,
    Event,
    Image,
    Job,
    JobState,
    Label,
    Mask,
    ModelVersion,
    Project,
    QueryItem,
    Round,
    Slice,
    StoredBlob,
    utc_now,
)
from tests.loop.deleting import (
    NO_BLOBS,
    blobs_that_nothing_refers_to,
    case_of,
    delete,
    full_project,
    labelled,
    rows_that_refer,
)
from tests.loop.test_leases import annotator, ask, slices_of
from tests.worker.projects import count, job_of, label_batch, make_project, runner


def test_every_column_that_names_a_slice_a_mask_a_project_or_bytes_is_known():
    known = {
        "slices": {str(c) for c in traces.OF_SLICES},
        "masks": {str(c) for c in traces.OF_MASKS},
        # What belongs to a slice or to nobody goes with it, or stays without its project.
        "projects": {str(c) for c in traces.OF_PROJECTS}
        | {str(ModelVersion.project_id), str(Job.project_id)}
        | {str(c) for c in traces.OF_ACCESS}
        | {str(Slice.project_id), str(Event.project_id)},
        "jobs": {str(c) for c in traces.OF_JOBS} | {str(ModelVersion.job_id), str(Job.parent_id)},
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
    gone = delete(database, lambda session: of_case(session, HERE, "p", name))
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
    assert delete(database, lambda session: of_slice(session, HERE, untouched)).models == []
    gone = delete(database, lambda session: of_slice(session, HERE, trained))
    assert [(one.id, one.number) for one in gone.models] == [(model.id, 1)]
    with database.reading() as session:
        assert session.scalars(select(ModelVersion)).one().mask_ids == model.mask_ids
        entry = session.scalars(select(Event).order_by(Event.id.desc())).first()
        assert entry.detail["models"] == [1]


def test_what_a_model_came_to_on_a_case_goes_with_it(database):
    make_project(database)
    with database.reading() as session:
        project = session.scalars(select(Project)).one()
    label_batch(database, project)
    runner(database).work()
    with database.writing() as session:
        model = session.scalars(select(ModelVersion)).one()
        by_case = {"case-0": {"dice": [0.5]}, "case-1": {"dice": [0.7]}}
        model.scores = {
            **model.scores,
            "folds": {"case-0": 0, "case-2": 1},
            "test": {"dice_case": 0.6, "by_case": by_case},
        }
    delete(database, lambda session: of_case(session, HERE, "p", "case-0"))
    with database.reading() as session:
        scores = session.scalars(select(ModelVersion)).one().scores
    assert scores["test"] == {"dice_case": 0.6, "by_case": {"case-1": {"dice": [0.7]}}}
    assert scores["folds"] == {"case-2": 1}
    assert scores["labelled"] == 3
    assert "case-0" not in json.dumps(scores)


def test_bytes_that_others_use_stay(database):
    with database.writing() as session:
        for name in ("one", "other"):
            project = create_project(session, name, ProjectSettings())
            case = ensure_case(session, project, "c", Split.POOL)
            for index in range(2):
                shared = prepare_image(np.full((8, 8), index, np.uint8))
                add_slice(session, case, index, {0: shared})
    with database.reading() as session:
        planned = of_project(session, HERE, "one")
        assert (planned.bytes, planned.counts["blobs"]) == (0, 0)
    delete(database, lambda session: of_project(session, HERE, "one"))
    assert count(database, StoredBlob) == 2
    gone = delete(database, lambda session: of_project(session, HERE, "other"))
    assert gone.counts["blobs"] == 2
    assert gone.bytes > 100
    assert count(database, StoredBlob) == 0


def test_a_project_goes_with_models_and_jobs_and_only_its_deletion_is_remembered(database):
    full_project(database)
    gone = delete(database, lambda session: of_project(session, HERE, "p"))
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
        of_project(session, HERE, "p")


def test_another_name_deletes_nothing(database):
    make_project(database)
    with database.reading() as session:
        planned = of_case(session, HERE, "p", "case-0")
    with pytest.raises(InvalidInput, match="case-0"):
        deletes.steps(planned, "case-1", None)
    assert count(database, Slice) == 15


def test_a_slice_takes_the_number_of_its_image_along(database):
    project = make_project(database)
    with database.writing() as session:
        slice_ = session.scalars(select(Slice).order_by(Slice.id)).first()
        case = session.get_one(Case, slice_.case_id)
        places = session.scalars(select(Slice.index).where(Slice.case_id == case.id)).all()
        case.source = {"kind": "dicom", "instances": [[n, f"1.2.{n}", None] for n in places]}
    delete(database, lambda session: of_slice(session, HERE, slice_.id))
    with database.reading() as session:
        kept = session.get_one(Case, case.id).source["instances"]
    assert project.id
    assert sorted(n for n, _, _ in kept) == sorted(set(places) - {slice_.index})


def test_the_last_slice_takes_its_case_along(database):
    with database.writing() as session:
        project = create_project(session, "p", ProjectSettings())
        case = ensure_case(session, project, "c", Split.POOL)
        ids = [
            add_slice(session, case, n, {0: prepare_image(np.full((8, 8), n, np.uint8))}).slice.id
            for n in range(2)
        ]
    assert delete(database, lambda session: of_slice(session, HERE, ids[0])).counts["cases"] == 0
    assert delete(database, lambda session: of_slice(session, HERE, ids[1])).counts["cases"] == 1
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
        gone = delete(database, lambda session, one=slice_id: of_slice(session, HERE, one))
    assert gone.queues == {"train"}
    runner(database).work()
    assert slices_of(ask(database, project, annotator(database, "one"), 3, utc_now()))
