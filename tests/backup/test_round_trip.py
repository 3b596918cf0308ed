"""What comes back from a backup: all of it, on either engine, and what can go on does."""

from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import func, inspect, select

from app.backup import make_backup, restore_backup, verify_database
from app.loop import claims
from app.loop.access import HERE
from app.loop.accounts import authenticate, create_token
from app.loop.audit_chain import address_key
from app.loop.deletions import of_slice
from app.loop.sign_ins import find_sign_in, sign_in_with_token
from app.loop.transfers import ask as ask_transfer
from app.store import (
    Account,
    CheckpointPart,
    Delivery,
    DeliveryState,
    Event,
    Hook,
    Identity,
    Job,
    JobState,
    Lease,
    Role,
    Slice,
    Transfer,
    TransferKind,
    Tuning,
    Worker,
    utc_now,
)
from app.store.migrate import config, migrate, newest_schema, schema_of
from tests.backup.installations import engine_of, everything, other_than, without_notes
from tests.loop.deleting import delete, full_project
from tests.loop.test_leases import annotator, ask, draw, make_pool, slices_of


def test_all_rows_and_bytes_go_to_the_other_engine_and_come_home(database, fresh, tmp_path):
    full_project(database)
    with database.writing() as session:
        create_token(session, "zoe", Role.REVIEWER)
        ask_transfer(session, TransferKind.EXPORT, "p", "nifti", {"a": [1, 2.5, None]}, None)
        session.scalars(select(Transfer)).one().state = JobState.SUCCEEDED
        chosen = {"threads": 2, "precision": "float32", "training_precision": "float32"}
        address_key(session)
        job = session.scalars(select(Job)).first()
        session.add(CheckpointPart(job_id=job.id, version=1, number=0, data=b"\x00\xff"))
        hook = Hook(project_id=job.project_id, url="https://example.org", events=[], secret="x")
        session.add(hook)
        session.flush()
        told = {"event": "test", "payload": {"a": 1}, "state": DeliveryState.DELIVERED}
        session.add(Delivery(hook_id=hook.id, project_id=job.project_id, **told))
        zoe = session.scalars(select(Account).filter_by(name="zoe")).one()
        session.add(Identity(account=zoe, issuer="https://id.example.org", subject="s-1"))
        session.add(Tuning(machine="Zoë’s ☃", scoring_batch=8, measured={"s": 0.1}, **chosen))
    before = everything(database)
    assert [name for name, rows in before.items() if not rows] == ["sign_ins"]
    made = make_backup(database, tmp_path / "first")
    away = fresh(other_than(engine_of(database)))
    restore_backup(away, tmp_path / "first")
    assert without_notes(everything(away)) == before
    again = make_backup(away, tmp_path / "second")
    home = fresh(engine_of(database))
    restore_backup(home, tmp_path / "second")
    assert without_notes(everything(home)) == before
    assert list(verify_database(home)) == []
    assert again.blobs == made.blobs
    assert again.tables["masks"] == made.tables["masks"]


def test_its_age_can_be_found_in_the_audit(database, fresh, tmp_path):
    make_pool(database)
    made = make_backup(database, tmp_path / "nightly")
    with database.reading() as session:
        note = session.scalars(select(Event).where(Event.action == "backup.made")).one()
        assert note.detail["file"] == "nightly"
        assert note.detail["blobs"] == made.blobs.count == 6
        assert note.detail["bytes"] == (tmp_path / "nightly").stat().st_size
    home = fresh(engine_of(database))
    restore_backup(home, tmp_path / "nightly")
    with home.reading() as session:
        found = session.scalars(select(Event).where(Event.action.startswith("backup."))).one()
        assert found.action == "backup.restored"
        assert found.detail["moment"] == note.detail["moment"]


def test_what_was_under_way_waits_or_has_ended_and_leases_go_on(database, fresh, tmp_path):
    project = make_pool(database, slices=4)
    one = annotator(database, "one")
    held = slices_of(ask(database, project, one, 2, utc_now()))
    now = utc_now()
    with database.writing() as session:
        token = create_token(session, "rev", Role.REVIEWER)
        cookie, _ = sign_in_with_token(session, token, now, timedelta(hours=1))
        session.add(Worker(name="w", queues=[], capabilities={}))
        for cancel, parent in ((False, None), (True, 1)):
            of_job = {"project_id": project.id, "kind": "retrain", "queue": "train"}
            session.add(Job(step="train", parent_id=parent, cancel_requested=cancel, **of_job))
            session.flush()
        for _ in range(2):
            claims.claim(session, claims.QUEUES, "worker", now)
            session.flush()
        running = ask_transfer(session, TransferKind.IMPORT, "p", "nifti", {}, None, "/uploads/1")
        running.state = JobState.RUNNING
        done = ask_transfer(session, TransferKind.EXPORT, "p", "nifti", {}, None, "/exports/1")
        done.state = JobState.SUCCEEDED
    make_backup(database, tmp_path / "backup")
    home = fresh(engine_of(database))
    restore_backup(home, tmp_path / "backup")
    with home.writing() as session:
        jobs = session.scalars(select(Job).order_by(Job.id)).all()
        assert [job.state for job in jobs] == [JobState.QUEUED, JobState.CANCELLED]
        assert (jobs[0].lost, jobs[0].announced_at) == (0, None)
        assert claims.claim(session, claims.QUEUES, "other", now).attempt == 2
        transfers = session.scalars(select(Transfer).order_by(Transfer.id)).all()
        assert [t.state for t in transfers] == [JobState.FAILED, JobState.SUCCEEDED]
        assert "send it again" in transfers[0].error
        assert [t.folder for t in transfers] == [None, None]
        assert session.scalar(select(func.count()).select_from(Worker)) == 0
        assert authenticate(session, token).account.name == "rev"
        with pytest.raises(Exception, match="sign in again"):
            find_sign_in(session, cookie, now)
        leases = select(Lease.slice_id).where(Lease.ended_at.is_(None))
        assert sorted(session.scalars(leases)) == sorted(held)
    assert not draw(home, one, held[0], now).mask.late


def test_numbers_are_given_once_also_after_it(database, fresh, tmp_path):
    project = make_pool(database, slices=3)
    with database.reading() as session:
        last = session.scalar(select(func.max(Slice.id)))
    delete(database, lambda session: of_slice(session, HERE, last))
    make_backup(database, tmp_path / "backup")
    for engine in ("sqlite", "postgresql"):
        home = fresh(engine)
        restore_backup(home, tmp_path / "backup")
        with home.writing() as session:
            session.add(
                Slice(project_id=project.id, case_id=1, split="pool", index=7, height=1, width=1)
            )
            session.flush()
            assert session.scalar(select(func.max(Slice.id))) == last + 1
        with home.writing() as session:
            create_token(session, "new", Role.ADMIN)


def test_a_backup_of_an_older_schema_is_brought_to_the_present_one(database, fresh, tmp_path):
    make_pool(database, slices=2)
    before = everything(database)
    with database.engine.begin() as connection:
        alembic = config()
        alembic.attributes["connection"] = connection
        command.downgrade(alembic, "0007")
    made = make_backup(database, tmp_path / "old")
    assert "tunings" not in made.tables
    for engine in ("sqlite", "postgresql"):
        home = fresh(engine)
        # Nothing there at all, or the present schema with nothing in it.
        if engine == engine_of(database):
            migrate(home)
        restore_backup(home, tmp_path / "old")
        with home.engine.connect() as connection:
            assert schema_of(connection) == newest_schema()
            assert inspect(connection).has_table("tunings")
        assert without_notes(everything(home)) == before
        assert list(verify_database(home)) == []
