"""The database's clock alone decides: servers and workers may be wrong by hours."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select

from app.loop import claims
from app.loop.capabilities import live_workers, report_worker
from app.store import Job, Role, database_now
from tests.loop.test_leases import annotator, ask, draw, make_pool, slices_of

# SQLite has no clock but the machine's: there is nobody else to be wrong.
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
pytestmark = on_postgresql


def wrong_by(hours):
    """This process alone, not the database's server, is wrong."""
    return time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True)


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_server_ends_no_lease_by_its_own_clock(api, hours):
    api.project(slices=4, cases=2)
    first, second = api.as_("first"), api.as_("second")
    held = first.get("/query/next", params={"size": 4}).json()["items"]
    assert len(held) == 4
    with wrong_by(hours):
        assert second.get("/query/next").json()["items"] == []
        assert first.post(f"/leases/{held[0]['lease']['id']}/renew").status_code == 200


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_server_ends_no_session_by_its_own_clock(api, hours):
    opened = api.client.post("/session", json={"token": api.token("root", Role.ADMIN)})
    # By hand: the client's own jar would go by the wrong clock.
    cookie = {"Cookie": opened.headers["set-cookie"].split(";")[0]}
    api.client.cookies.clear()
    with wrong_by(hours):
        assert api.client.get("/session", headers=cookie).status_code == 200


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_job_that_a_server_announced_in_another_time_is_announced_again(database, hours):
    project = make_pool(database, slices=1)
    one = annotator(database, "one")
    [drawn] = slices_of(ask(database, project, one))
    with wrong_by(hours):
        draw(database, one, drawn)
    with database.writing() as session:
        job = session.scalars(select(Job)).one()
        assert abs(job.announced_at - database_now(session)) < timedelta(minutes=5)
        later = database_now(session) + timedelta(minutes=5)
        assert claims.sweep(session, later, {}, timedelta(seconds=10), 3) == ("train",)


def test_a_worker_whose_clock_is_slow_is_there(database):
    with wrong_by(-3), database.writing() as session:
        report_worker(session, "slow", ("train",), {}, database_now(session))
    with wrong_by(3), database.reading() as session:
        assert [worker.name for worker in live_workers(session)] == ["slow"]
