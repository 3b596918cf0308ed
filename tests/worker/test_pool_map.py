"""The map of the pool: drawn for whoever looks first, kept, and gone with what is deleted."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.api.schemas.rounds import MapOut
from app.loop.access import HERE
from app.loop.deletions import of_slice
from app.loop.pool_maps import MapState, begin_map, map_state
from app.loop.round_history import round_map
from app.main import create_app
from app.map_drawer import MapDrawer
from app.settings import Settings
from app.store import Label, MapPoint, Role, Round, RoundState, SliceFeatures, utc_now
from tests.conftest import RecordingDispatcher
from tests.loop.deleting import delete
from tests.worker.projects import count, label_batch, make_project, runner


@pytest.fixture
def scored(database) -> int:
    """The open round of a project whose first model has scored the pool."""
    label_batch(database, make_project(database))
    runner(database).work()
    with database.reading() as session:
        return session.scalars(select(Round.id).where(Round.state == RoundState.OPEN)).one()


def drawn(database, round_id: int) -> MapOut:
    """The map, drawn here and now."""
    drawer = MapDrawer(database)
    drawer._draw(round_id)
    with database.reading() as session:
        return MapOut.model_validate(round_map(session, HERE, round_id))


def test_a_retraining_draws_no_map_and_whoever_looks_has_it_drawn(database, scored, tmp_path):
    from app.loop.accounts import create_token

    assert count(database, MapPoint) == 0
    with database.writing() as session:
        token = create_token(session, "eva", Role.ANNOTATOR)
    app = create_app(Settings(data=tmp_path), database, RecordingDispatcher())
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(app, headers=headers) as client:

        def look(number: int = scored) -> dict:
            return client.get(f"/rounds/{number}/map").raise_for_status().json()

        with ThreadPoolExecutor(4) as people:
            looks = list(people.map(lambda _: look(), range(4)))
        assert {one["state"] for one in looks} <= {"drawing", "drawn"}
        found = look()
        while found["state"] == "drawing":
            time.sleep(0.1)
            found = look()
        assert (found["state"], found["error"]) == ("drawn", None)
        # The batch, the three that trained, and the rest of the twelve.
        states = [point["state"] for point in found["points"]]
        assert (states.count("batch"), states.count("labelled"), len(states)) == (3, 3, 12)
        assert look() == found
        first = look(scored - 1)
        assert (first["state"], first["points"]) == ("none", [])


def test_two_servers_draw_a_map_once(database, scored, monkeypatch):
    calls = []

    def spread(self, wanted):
        calls.append(wanted.ids)
        # Another server is asked while this one draws.
        MapDrawer(database)._draw(scored)
        return np.zeros((len(wanted.ids), 2), dtype=np.float32)

    monkeypatch.setattr(MapDrawer, "_spread", spread)
    assert drawn(database, scored).state == "drawn"
    drawn(database, scored)
    assert len(calls) == 1


def test_a_map_is_the_same_whoever_draws_it(database, scored, monkeypatch):
    found = []
    monkeypatch.setattr(MapDrawer, "_spread", lambda self, wanted: found.append(wanted))
    for _ in range(2):
        with database.writing() as session:
            session.get_one(Round, scored).map_begun_at = None
        drawn(database, scored)
    assert found[0].ids == found[1].ids
    np.testing.assert_array_equal(found[0].features, found[1].features)


def test_a_process_that_dies_is_told_and_the_map_is_tried_again_later(
    database, scored, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(MapDrawer, "_spread", lambda self, wanted: None)
        found = drawn(database, scored)
    assert (found.state, found.points) == ("failed", [])
    assert "ended early" in found.error
    with database.writing() as session:
        assert not begin_map(session, scored, utc_now())
        round_ = session.get_one(Round, scored)
        later = utc_now() + timedelta(minutes=10)
        assert map_state(session, round_, later) is MapState.DRAWING
        assert begin_map(session, scored, later)


def test_a_server_that_ends_leaves_the_map_to_the_next(database, scored):
    drawer = MapDrawer(database)
    drawer._stop.set()
    drawer._draw(scored)
    assert count(database, MapPoint) == 0
    assert drawn(database, scored).state == "drawn"


def test_what_is_deleted_while_a_map_is_drawn_is_not_on_it(database, scored, monkeypatch):
    gone = []

    def spread(self, wanted):
        with database.reading() as session:
            labelled = session.scalars(select(Label.slice_id)).first()
        for slice_id in (wanted.ids[0], labelled):
            delete(database, lambda session, one=slice_id: of_slice(session, HERE, one))
            gone.append(slice_id)
        return np.zeros((len(wanted.ids), 2), dtype=np.float32)

    monkeypatch.setattr(MapDrawer, "_spread", spread)
    found = drawn(database, scored)
    assert found.state == "drawn"
    assert not {point.slice for point in found.points} & set(gone)
    with database.reading() as session:
        for column in (MapPoint.slice_id, SliceFeatures.slice_id):
            assert not set(session.scalars(select(column))) & set(gone)
