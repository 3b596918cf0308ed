"""The short form of `make chaos`, and that its verdict says so when something is wrong."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from app.store import Job, JobState, Mask
from chaos.journal import Drawn, Journal
from chaos.verdict import Strike, judge
from tests.loop.test_leases import annotator, ask, draw, make_pool, slices_of


@pytest.mark.parametrize("topology", ["embedded", "apart"])
def test_nothing_is_lost_when_a_running_service_is_broken(topology):
    # How long it takes until somebody is answered is no matter of a test: machines differ.
    options = ["--faults", "3", "--topology", topology, "--within", "60"]
    done = subprocess.run(
        [sys.executable, "-m", "chaos", *options],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "| **masks lost** | 0 |" in done.stdout
    assert "| **in all** | 3 (" in done.stdout


@pytest.fixture
def witnessed(database):
    """One slice with a mask, as its annotator noted it; the retraining waits."""
    one = annotator(database, "one")
    [drawn] = slices_of(ask(database, make_pool(database, slices=1), one))
    mask = draw(database, one, drawn).mask
    with database.writing() as session:
        job = session.scalars(select(Job)).one()
        job.state = JobState.CANCELLED
    journal = Journal()
    journal.draws()
    journal.handed("one", drawn, 1)
    journal.gives_away(1)
    journal.keeps(Drawn("one", drawn, mask.sha256, mask.id))
    return database, journal, drawn


def wrong(database, journal, strikes=(), stuck=()):
    verdict = judge("t", database, journal, list(strikes), list(stuck), within=10.0)
    return {name.split(" within")[0] for name, found in verdict.wrong.items() if found}


def test_where_all_is_well_nothing_is_wrong(witnessed):
    database, journal, _ = witnessed
    assert wrong(database, journal, [Strike("a fault", 9.0)]) == set()


def test_a_mask_that_is_gone_or_another_is_named(witnessed):
    database, journal, slice_id = witnessed
    journal.draws()
    assert wrong(database, journal) == {"masks lost"}
    journal.keeps(Drawn("one", slice_id, "0" * 64, 999))
    assert wrong(database, journal) == {"masks lost"}
    journal.kept[-1] = Drawn("one", slice_id, "0" * 64, journal.kept[0].mask)
    assert wrong(database, journal) == {"masks changed"}


def test_a_mask_that_is_there_twice_is_named(witnessed):
    database, journal, _ = witnessed
    with database.writing() as session:
        found = session.scalars(select(Mask)).one()
        names = [c.key for c in Mask.__table__.columns if c.key not in ("id", "revision")]
        again = {name: getattr(found, name) for name in names}
        session.add(Mask(**again, revision=found.revision + 1))
    assert "masks doubled" in wrong(database, journal)


def test_two_hands_and_answers_that_must_not_come_are_named(witnessed):
    database, journal, slice_id = witnessed
    journal.handed("two", slice_id, 2)
    assert wrong(database, journal) == set()
    journal.handed("three", slice_id, 3)
    assert wrong(database, journal) == {"slices in two hands at once"}
    journal.gives_away(2)
    journal.holds[3].since = time.monotonic()
    journal.reply("GET /x", 503, "")
    journal.reply("GET /x", 410, "")
    assert wrong(database, journal) == set()
    journal.reply("GET /x", 500, "an error of its own")
    assert wrong(database, journal) == {"answers 500 and others that nobody asked for"}


def test_jobs_and_rounds_that_do_not_go_on_and_long_waits_are_named(witnessed):
    database, journal, _ = witnessed
    late = [Strike("a fault", 11.0)]
    assert wrong(database, journal, late) == {"faults after which nobody was answered"}
    assert wrong(database, journal, stuck=["round 2"]) == {"rounds that waited for an admin"}
    for state, name in (
        (JobState.FAILED, "jobs that failed"),
        (JobState.RUNNING, "jobs that ended twice, or not once"),
        (JobState.SUCCEEDED, "jobs that ended twice, or not once"),
    ):
        with database.writing() as session:
            session.scalars(select(Job)).one().state = state
        assert wrong(database, journal) == {name}
