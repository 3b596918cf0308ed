"""What is kept for some days alone goes, and nothing that labels and models rest on."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.backup.verify import verify_database
from app.cli import cli
from app.core.blob import Blob, digest
from app.core.errors import Removed
from app.core.prepared import prepare_mask
from app.loop import retention, transfers
from app.loop.access import HERE, Reader
from app.loop.annotation_effort import drawings
from app.loop.masks import Making, submit_mask
from app.loop.models import current_model, promote, weights_of
from app.loop.pool_maps import MapState, begin_map
from app.loop.retention import Kind
from app.loop.round_history import round_map
from app.loop.suggestions import find_suggestion
from app.retention import carry_out, sweep
from app.settings import Settings
from app.store import (
    Base,
    Database,
    Event,
    Installation,
    Job,
    JobKind,
    JobState,
    MapPoint,
    MaskOrigin,
    ModelVersion,
    Project,
    QueryItem,
    Role,
    Round,
    RoundState,
    Score,
    Suggestion,
    Transfer,
    TransferKind,
    blobs,
    utc_now,
)
from tests.conftest import mask, pixels_of
from tests.people import named_account
from tests.worker.projects import make_project

DAY = timedelta(days=1)
ALL = dict.fromkeys(Kind, 10 * DAY)
# Touched by no retention, whatever is set.
RESTS = ("masks", "labels", "reviews", "agreements", "query_items", "leases", "images", "slices")


@dataclass
class Past:
    """A project whose rounds 2 to 5 were chosen by its models 1 to 4, oldest first; 5 is open."""

    project_id: int
    slices: list[int]
    rounds: list[int] = field(default_factory=list)
    models: list[int] = field(default_factory=list)


@pytest.fixture
def past(database) -> Past:
    project = make_project(database)
    with database.writing() as session:
        ids = list(session.scalars(select(Base.metadata.tables["slices"].c.id).order_by("id")))[:6]
        past = Past(project.id, ids)
        for number in range(1, 5):
            _chapter(session, past, number, utc_now() - (30 - number) * DAY)
    return past


def _chapter(session, past: Past, number: int, at) -> None:
    """A model, the round it chose, and all that is kept of both."""
    job = Job(project_id=past.project_id, kind=JobKind.RETRAIN, queue="train", step="select")
    job.state = JobState.SUCCEEDED
    session.add(job)
    weights = Blob.of(f"weights {number}".encode())
    blobs.put(session, weights)
    session.flush()
    # The second is the best; the fourth is the current one.
    model = ModelVersion(
        project_id=past.project_id,
        number=number,
        job_id=job.id,
        architecture={},
        mask_ids=[],
        scores={"test": {"dice_case": 0.9 if number == 2 else 0.1 * number}},
        seed=0,
        seconds=1.0,
        created_at=at,
        weights_sha256=weights.sha256,
    )
    session.add(model)
    session.flush()
    last = number == 4
    round_ = Round(
        project_id=past.project_id,
        number=number + 1,
        strategy="random",
        settings={"seed": 0},
        model_id=model.id,
        created_at=at,
        state=RoundState.OPEN if last else RoundState.CLOSED,
        closed_at=None if last else at + DAY,
    )
    session.add(round_)
    session.flush()
    past.models.append(model.id)
    past.rounds.append(round_.id)
    for place, slice_id in enumerate(past.slices):
        session.add(MapPoint(round_id=round_.id, slice_id=slice_id, x=0.0, y=0.0))
        item = QueryItem(round_id=round_.id, slice_id=slice_id, rank=place, stream="s", score=None)
        session.add(item)
        sums = dict.fromkeys(("total", "target", "boundary"), 0.0)
        pixels = dict.fromkeys(("pixels", "target_pixels", "boundary_pixels"), 1)
        kept = Score(model_id=model.id, slice_id=slice_id, measure="entropy", by_class=[])
        for name, value in {**sums, **pixels}.items():
            setattr(kept, name, value)
        session.add(kept)
        drawn = prepare_mask(pixels_of(mask(corner=number + 3)), mask())
        blobs.put(session, drawn.blob)
        names = dict.fromkeys(("mask_sha256", "uncertainty_sha256"), drawn.blob.sha256)
        session.add(Suggestion(model_id=model.id, slice_id=slice_id, **names))


def counts_of(database: Database) -> Mapping[str, int]:
    with database.reading() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }


def of(database: Database, column) -> set[int]:
    with database.reading() as session:
        return set(session.scalars(select(column).distinct()))


def test_everything_is_kept_unless_somebody_says_so(database, past):
    before = counts_of(database)
    sweep(database, Settings(), threading.Event())
    carry_out(database, {}, utc_now() + 1000 * DAY)
    assert counts_of(database) == before


def test_what_no_round_needs_goes_counted_and_told(database, past):
    before = counts_of(database)
    with database.reading() as session:
        promised = {(d.kind, d.number): d.rows for d in retention.due(session, ALL, utc_now())}
    gone = carry_out(database, ALL, utc_now())
    after = counts_of(database)
    assert {name: after[name] for name in RESTS} == {name: before[name] for name in RESTS}
    # Models 1 to 3 were of rounds that are over; the third's and first's weights nobody uses.
    old, kept = set(past.models[:3]), {past.models[3]}
    assert of(database, Score.model_id) == kept
    assert of(database, Suggestion.model_id) == kept
    assert of(database, MapPoint.round_id) == {past.rounds[3]}
    assert gone == {"maps": 18, "scores": 18, "suggestions": 18, "weights": 2}
    with database.reading() as session:
        models = session.scalars(select(ModelVersion).order_by(ModelVersion.id)).all()
        assert [not m.weights_sha256 for m in models] == [True, False, True, False]
        assert {m.id for m in models if "scores" in m.removed} == old
        said = session.scalars(select(Event).where(Event.action.like("retention.%"))).all()
        told = {
            (Kind(e.action.split(".")[1]), e.detail.get("round") or e.detail["model"]): e.detail[
                "rows"
            ]
            for e in said
        }
        assert told == promised
        assert {e.project_id for e in said} == {past.project_id}
        digests = {e.detail["sha256"] for e in said if e.action == "retention.weights"}
        assert digests == {digest(b"weights 1"), digest(b"weights 3")}
        # Their bytes are gone, of what others use none.
        assert blobs.those_there(session, digests) == set()
        current = current_model(session, past.project_id)
        assert current is not None
        assert weights_of(session, current) == b"weights 4"
    assert list(verify_database(database)) == []
    # Nothing is left to go.
    assert carry_out(database, ALL, utc_now()) == {}


def test_what_is_younger_in_use_or_wanted_stays(database, past):
    with database.writing() as session:
        first, second, third, _ = session.scalars(select(ModelVersion).order_by(ModelVersion.id))
        first.promoted_at = utc_now() - 20 * DAY
        third.held_back = "worse"
        # Its job is still at it.
        session.execute(update(Job).where(Job.id == third.job_id).values(state=JobState.WAITING))
        second.scores = {}
        # The newest is not the current one: that was held back, and the first brought back.
        session.execute(
            update(ModelVersion).where(ModelVersion.number == 4).values(held_back="worse")
        )
    carry_out(database, ALL, utc_now())
    with database.reading() as session:
        models = session.scalars(select(ModelVersion).order_by(ModelVersion.id)).all()
        assert [not m.weights_sha256 for m in models] == [False, True, False, False]
    assert of(database, Score.model_id) == {past.models[0], past.models[2], past.models[3]}
    # Of the first, as it is the current one; the rounds' own days count for maps.
    assert carry_out(database, {Kind.MAPS: 40 * DAY}, utc_now()) == {}


def test_pages_say_what_is_gone(database, past):
    carry_out(database, ALL, utc_now())
    with database.reading() as session:
        shown = round_map(session, HERE, past.rounds[0])
        assert (shown.state, shown.points) == (MapState.REMOVED, [])
        assert round_map(session, HERE, past.rounds[3]).state is MapState.DRAWN
        with pytest.raises(Removed, match="weights of model 1 were removed on"):
            weights_of(session, session.get_one(ModelVersion, past.models[0]))
        # The newest round asked for it too.
        assert find_suggestion(session, HERE, past.slices[0]).model_id == past.models[3]
    with database.writing() as session:
        assert not begin_map(session, past.rounds[0], utc_now())
        session.execute(update(Round).values(state=RoundState.CLOSED, closed_at=utc_now()))
        with pytest.raises(Removed):
            promote(session, HERE, past.models[0])
        session.query(Suggestion).delete()
        with pytest.raises(Removed, match="suggested for slice"):
            find_suggestion(session, HERE, past.slices[0])


def test_a_drawing_begun_with_what_is_gone_is_kept(database, past):
    with database.writing() as session:
        ann = named_account(session, "ann", Role.ANNOTATOR)
    carry_out(database, ALL, utc_now())
    with database.writing() as session:
        drawn = prepare_mask(pixels_of(mask()), mask())
        making = Making(seconds=5.0, suggestion=past.models[0])
        kept = submit_mask(session, Reader(ann), past.slices[0], drawn, utc_now(), making)
        assert kept.mask.origin is MaskOrigin.CORRECTED
        # What was changed of it is not known: it says nothing of what drawing takes.
        project = session.get_one(Project, past.project_id)
        assert drawings(session, project) == []


def test_reports_of_transfers_go(database, past):
    with database.writing() as session:
        for days, state in ((20, JobState.SUCCEEDED), (1, JobState.FAILED), (20, JobState.QUEUED)):
            asked = transfers.ask(session, TransferKind.IMPORT, "p", "png", {}, None)
            asked.state, asked.report = state, {"taken": []}
            asked.finished_at = None if state is JobState.QUEUED else utc_now() - days * DAY
    assert carry_out(database, {Kind.REPORTS: 10 * DAY}, utc_now()) == {"reports": 1}
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Transfer)) == 2
        [said] = session.scalars(select(Event).where(Event.action == "retention.reports"))
        assert (said.project_id, said.detail) == (None, {"rows": 1})


def test_it_stops_between_two_pieces_and_goes_on(database, past, monkeypatch):
    monkeypatch.setattr(retention, "_SLICES_AT_ONCE", 2)
    left = iter([False, False, True])
    keep = {Kind.SCORES: 10 * DAY}
    assert carry_out(database, keep, utc_now(), lambda: next(left)) == {}
    assert 0 < counts_of(database)["scores"] < 24
    carry_out(database, keep, utc_now())
    assert of(database, Score.model_id) == {past.models[3]}


def test_one_server_at_a_time_takes_it_on(database, past):
    with database.writing() as session:
        session.add(Installation(id=1, address_key=b"k"))
    hour, now = timedelta(hours=1), utc_now()
    turns = []
    for at in (now, now, now + timedelta(minutes=59), now + hour):
        with database.writing() as session:
            turns.append(retention.take_on(session, at, hour))
    assert turns == [True, False, False, True]


def test_the_sweep_keeps_to_the_settings(database, past):
    with database.writing() as session:
        session.add(Installation(id=1, address_key=b"k"))
    settings = Settings(keep_maps_days=10)
    sweep(database, settings, threading.Event())
    assert of(database, MapPoint.round_id) == {past.rounds[3]}
    assert len(of(database, Score.model_id)) == 4


def test_the_command_says_what_would_go(past, database, database_url, monkeypatch, capsys):
    monkeypatch.setenv("SFUMATO_DATABASE_URL", database_url)
    monkeypatch.setenv("SFUMATO_KEEP_SCORES_DAYS", "10")
    before = counts_of(database)
    cli(["retention", "--dry-run"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "6 scores of model 1 of p" in said
    assert "nothing is removed: 18 rows would be" in said
    assert counts_of(database) == before
    cli(["retention"], standalone_mode=False)
    assert "removed: 18 rows" in capsys.readouterr().out
    assert of(database, Score.model_id) == {past.models[3]}
