"""`sfumato benchmark` as a command: its mistakes, its interruption, what it does by itself."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from app.core.errors import InvalidInput
from app.formats.phantom import write_phantom
from tests.benchmark.tiny import TINY, asked, run
from worker.benchmark.asked import settings_of
from worker.benchmark.bench import make_bench
from worker.benchmark.command import benchmark
from worker.benchmark.ground import read_ground
from worker.benchmark.record import Record, collect
from worker.benchmark.runs import run_strategy
from worker.benchmark.seeds import prepare_seed
from worker.benchmark.settings import PRESETS, settings_kept
from worker.benchmark.tables import explored_table
from worker.registry import find_strategy
from worker.segmentation.precision import Precision

CPU = torch.device("cpu")


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(phantom, tmp_path):
    command = [
        *(sys.executable, "-m", "app.cli", "benchmark", str(phantom)),
        *("--preset", "phantom-small", "--rounds", "3", "--initial", "4", "--query", "4"),
        *("--strategies", "random,entropy", "--seeds", "1", "--out", str(tmp_path / "out")),
        *("--processes", "1", "--device", "cpu"),
        *(part for one in TINY for part in ("--set", one)),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    record = Record(tmp_path / "out")
    while not record.round_files("random", 0) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: parent and children
    _, said = process.communicate(timeout=60)
    done = len(record.round_files("random", 0))
    assert done >= 1
    if process.returncode == 0:
        pytest.skip("the machine was quicker than Ctrl-C")
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == 0
    assert len(pd.read_csv(record.rounds_file)) == 1 + 2 * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategies": "entropi"}, "entropy-selective"),
        ({"seeds": "three"}, "100-104"),
        ({"preset": "large"}, "lgg-flair-small"),
        ({"rounds": 30}, "the pool has 42"),
        ({"assignments": ("training.depth=3",)}, "training.NAME"),
        ({"init": "guess"}, "init"),
    ],
)
def test_a_mistake_in_the_command_is_named(phantom, tmp_path, changes, message):
    with pytest.raises(InvalidInput, match=message):
        benchmark(asked(phantom, **changes), tmp_path, "local", 1, 1, "cpu")


def test_two_benchmarks_do_not_work_in_one_folder(phantom, tmp_path):
    import fcntl

    with (tmp_path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InvalidInput, match="another benchmark"):
            run(phantom, tmp_path)


def test_without_a_target_batches_are_drawn_for_variety_until_one_is_found(tmp_path):
    write_phantom(tmp_path, cases=10, slices=6, size=32, seed=0)
    for path in (tmp_path / "labelsTr").iterdir():
        drawn = nib.load(path)
        blank = np.zeros(drawn.shape, dtype=np.uint8)
        nib.save(nib.Nifti1Image(blank, drawn.affine), path)
    settings = settings_of(asked(tmp_path))
    ground = read_ground(tmp_path, settings.ground)
    record = Record(tmp_path / "out")
    bench = make_bench(ground, settings, record, 0, CPU, Precision(False), lambda: None)
    prepare_seed(bench)
    for name, stream in (("entropy-selective", "explore"), ("random", "random")):
        run_strategy(bench, find_strategy(name))
        files = record.round_files(name, 0)
        assert [{pick.stream for pick in f.selected} for f in files] == [{stream}, {stream}, set()]
    collect(record, ["entropy-selective", "random"], [0])
    table = explored_table(pd.read_csv(record.selected_file)).set_index("strategy")
    assert table["drawn for variety"].to_dict() == {"random": "0", "entropy-selective": "2"}
    # A strategy that fails must not pass for one, even where its picks would not be used.
    raising = replace(find_strategy("entropy"), name="raising", select=lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_strategy(bench, raising)
    # Cases that have given nothing come first: soon all seven of the pool have given.
    assert record.round_files("entropy-selective", 0)[1].row.labelled_cases == 7


def test_the_phantom_preset_makes_its_own_data(tmp_path):
    small = settings_of(asked(None)).model_copy(update={"phantom": None})
    assert small.phantom is None
    assert PRESETS["phantom-small"].phantom is not None
    with pytest.raises(InvalidInput, match="name the folder"):
        benchmark(asked(None, preset="lgg-flair-small"), tmp_path, "local", 1, 1, "cpu")


def test_a_folder_of_before_there_were_recipes_was_trained_as_the_paper_does():
    old = {"preset": "lgg-flair-small", "training": {"width": 8, "patience": 3}}
    kept = settings_kept(old)
    assert (kept.training.recipe, kept.preset) == ("paper", "lgg-flair-small-paper")
    new = PRESETS["lgg-flair-small"].model_copy(update={"preset": "lgg-flair-small"})
    assert settings_kept(new.model_dump(mode="json")) == new
