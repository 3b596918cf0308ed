"""A benchmark through Celery, on a real broker."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from tests.benchmark.tiny import TINY, asked
from worker.benchmark.command import benchmark
from worker.benchmark.executors import note_of


@pytest.fixture
def worker(valkey_url, tmp_path, monkeypatch):
    monkeypatch.setenv("SFUMATO_BROKER_URL", valkey_url)
    monkeypatch.setenv("SFUMATO_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    with (tmp_path / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "worker", "--queues", "benchmark"],
            env=os.environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    yield process
    process.kill()
    process.wait()


def test_the_same_runs_go_through_celery(worker, tmp_path):
    out = tmp_path / "out"
    small = asked(None, "entropy", "1", rounds=2, assignments=(*TINY, "training.epochs=1"))
    assert benchmark(small, out, "celery", None, 1, "cpu")
    assert len(pd.read_csv(out / "rounds.csv")) == 1 + 2
    assert note_of(out, "entropy", 0).read_text() == "over"
    assert worker.poll() is None
