"""The same seed gives the same batch, whatever else the machine does and whoever scores."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from sqlalchemy import select

from app.loop.tunings import Tuned, keep_tuned
from app.store import Database, Job, JobKind, ModelVersion, QueryItem, Score, blobs
from tests.worker.projects import label_batch, make_project, runner
from worker.segmentation.machine import machine
from worker.segmentation.precision import Precision

# A processor that is kept busy, with its caches and its vector unit.
_BURN = """
import numpy
print("burning", flush=True)
while True:
    numpy.ones((300, 300)) @ numpy.ones((300, 300))
"""


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """Other work on every processor, and more of it than there are."""
    command = [sys.executable, "-c", _BURN]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    try:
        for one in started:
            assert one.stdout.readline() == b"burning\n"
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()
            one.stdout.close()


@pytest.fixture
def round_of(sqlite_template, tmp_path):
    """Turns the loop in a database of its own, and tells all that came of it."""
    made = []

    def turn(strategy="bald-selective", tuned: Tuned | None = None, turns=2, **settings):
        path = tmp_path / f"{len(made)}.db"
        shutil.copy(sqlite_template, path)
        database = Database(f"sqlite:///{path}")
        made.append(database)
        if tuned is not None:
            kind = machine(torch.device("cpu"), Precision(False)).kind
            with database.writing() as session:
                keep_tuned(session, kind, tuned, {})
        project = make_project(database, strategy=strategy, mc_passes=2)
        for _ in range(turns):
            label_batch(database, project)
            runner(database, **settings).work()
        return told(database)

    yield turn
    for database in made:
        database.dispose()


def told(database: Database) -> dict[str, list]:
    """Weights, scores and picks, exactly."""
    with database.reading() as session:
        items = session.scalars(select(QueryItem).order_by(QueryItem.round_id, QueryItem.rank))
        scores = session.scalars(
            select(Score).order_by(Score.model_id, Score.slice_id, Score.measure)
        )
        models = session.scalars(select(ModelVersion).order_by(ModelVersion.number)).all()
        shards = session.scalars(select(Job.progress).where(Job.kind == JobKind.SCORE))
        return {
            "weights": [blobs.get(session, model.weights_sha256) for model in models],
            "picks": [(i.slice_id, i.rank, i.stream, i.score) for i in items],
            "scores": [
                (s.model_id, s.slice_id, s.measure, s.total, s.target, s.boundary) for s in scores
            ],
            "shards": [dict(shard) for shard in shards],
        }


def of_interest(found: dict[str, list]) -> dict[str, list]:
    return {name: found[name] for name in ("picks", "scores", "weights")}


@pytest.mark.parametrize("strategy", ["bald-selective", "core-set"])
def test_a_machine_under_load_picks_the_same_batch(round_of, strategy):
    idle = round_of(strategy)
    with burning(2):
        busy = round_of(strategy)
    assert len(idle["picks"]) == 9
    assert of_interest(busy) == of_interest(idle)


def test_the_batch_does_not_hang_on_how_the_pool_is_shared(round_of):
    whole, shared = round_of(), round_of(shard_slices=8)
    assert len(shared["shards"]) == 3  # of nine, then six slices
    assert len(whole["shards"]) == 2
    assert of_interest(shared) == of_interest(whole)


def test_threads_and_precision_are_what_was_measured_once_else_fixed(round_of, monkeypatch):
    monkeypatch.delenv("SFUMATO_THREADS")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(7)  # as if the machine offered so many
        assert {s["machine"] for s in round_of(turns=1)["shards"]} == {words(2, "float32")}
        tuned = Tuned(3, "bfloat16", "float32", 4)
        found = round_of(tuned=tuned, turns=1)["shards"]
        assert {s["machine"] for s in found} == {words(3, "bfloat16")}
        assert {s["precision"] for s in found} == {"bfloat16"}
        # What the environment says goes first.
        found = round_of(tuned=tuned, turns=1, threads=1, precision="float32")["shards"]
        assert {s["machine"] for s in found} == {words(1, "float32")}
    finally:
        torch.set_num_threads(before)


def words(threads: int, precision: str) -> str:
    here = machine(torch.device("cpu"), Precision(False))
    return f"{here.instruction_set}/{threads} threads/{precision}/torch {torch.__version__}"
