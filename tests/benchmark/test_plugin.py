"""A benchmark with what an installed package brings: a measure, a strategy, a network, a layout."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from app.core import catalogue
from app.core.errors import CannotLoad, UnknownName, VolumeInvalid
from app.formats.layout import ReadOptions
from tests.benchmark.tiny import TINY, asked
from tests.plugins import EXAMPLE, installed, write_package
from worker.benchmark.command import benchmark
from worker.benchmark.record import FULL

# The package's network begins with a prediction; so small a rate does not unlearn it.
GENTLE = (*TINY, "training.network=tiny", "training.learning_rate=0.0001")


@pytest.fixture(autouse=True)
def _example():
    with installed(EXAMPLE):
        yield


def run(data: Path, out: Path, strategies: str, assignments: tuple[str, ...] = GENTLE) -> bool:
    wanted = asked(data, strategies, seeds="1", assignments=assignments)
    return benchmark(wanted, out, "local", 1, 1, "cpu")


def test_measure_strategy_and_network_of_a_package_work_with_context(phantom, tmp_path):
    out = tmp_path / "out"
    assert run(phantom, out, "tsallis-selective,one-a-case", (*GENTLE, "training.context=1"))
    table = pd.read_csv(out / "rounds.csv")
    assert set(table["strategy"]) == {FULL, "tsallis-selective", "one-a-case"}
    picks = pd.read_csv(out / "selected.csv").groupby("strategy")["stream"].unique()
    assert set(picks["one-a-case"]) == {"one a case"}
    assert set(picks["tsallis-selective"]) == {"target", "boundary"}
    with safe_open(out / "seeds" / "0" / "first.safetensors", "pt") as weights:
        # Three planes: the slice before, the slice, the slice after.
        assert weights.get_slice("look.weight").get_shape() == [4, 3, 3, 3]


def test_a_strategy_that_picks_nonsense_fails_by_name(phantom, tmp_path, capfd):
    write_package(
        tmp_path,
        {
            "nonsense": (
                "from sfumato import Pick, Strategy\n"
                "TWICE = Strategy('?', 'tsallis', lambda s, k, seed: [Pick(0, 'x', 1.0)] * k)\n"
            )
        },
        "[sfumato.strategies]\ntwice = nonsense:TWICE\n",
    )
    with installed(tmp_path):
        assert not run(phantom, tmp_path / "out", "twice")
    said = " ".join(capfd.readouterr().err.split())
    assert "twice-0 failed: the strategy 'twice' picked a slice twice" in said


def test_names_are_refused_before_anything_is_run(phantom, tmp_path):
    out = tmp_path / "out"
    for strategies, assignments, error, message in (
        ("tsalis", GENTLE, UnknownName, "there is no strategy 'tsalis'"),
        ("random", (*TINY, "training.network=tinny"), UnknownName, "there is no network 'tinny'"),
    ):
        with pytest.raises(error, match=message):
            run(phantom, out, strategies, assignments)
    write_package(
        tmp_path,
        {"broken": "import a_library_that_is_missing\n"},
        "[sfumato.networks]\nbroken = broken:NETWORK\n",
    )
    with (
        installed(tmp_path),
        pytest.raises(CannotLoad, match="a_library_that_is_missing"),
    ):
        run(phantom, out, "random", (*TINY, "training.network=broken"))
    assert not out.exists()


def test_the_layout_of_a_package_reads_its_arrays(tmp_path):
    layout = catalogue.load(catalogue.find("layout", "npy-pairs"))
    with pytest.raises(VolumeInvalid, match="no NAME"):
        layout.read(tmp_path, ReadOptions())
    stack = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    np.save(tmp_path / "a.image.npy", stack)
    np.save(tmp_path / "a.mask.npy", np.ones((3, 4, 5), dtype=np.uint8))
    found = layout.read(tmp_path, ReadOptions(masks=True))
    case = found.cases[0].read()
    assert (found.channels, case.depth) == (["channel-0", "channel-1"], 3)
    assert np.array_equal(np.stack([one.pixels for one in case.channels]), stack)
    assert case.classes.sum() == 60
