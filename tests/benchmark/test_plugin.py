"""A benchmark with what an installed package brings: a measure, a strategy, a network, a layout."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from app.core.errors import InvalidInput, UnknownName
from tests.benchmark.tiny import TINY, asked
from tests.plugins import EXAMPLE, installed, write_package
from worker.benchmark.command import benchmark
from worker.benchmark.record import FULL

# The package's network begins with a prediction; so small a rate does not unlearn it.
GENTLE = (
    *TINY,
    "training.network=tiny",
    "training.learning_rate=0.0001",
    "training.members=1",
)


@pytest.fixture(autouse=True)
def _example():
    with installed(EXAMPLE):
        yield


def run(data: Path, out: Path, strategies: str, assignments=GENTLE, **changes) -> bool:
    wanted = asked(data, strategies, seeds="1", assignments=assignments, **changes)
    return benchmark(wanted, out, "local", 1, 1, "cpu")


@pytest.fixture
def arrays(tmp_path) -> Path:
    """Two channels of bright squares on noise, ten cases of six slices, as the layout has them."""
    folder, rng = tmp_path / "arrays", np.random.default_rng(0)
    folder.mkdir()
    for n in range(10):
        marks = np.zeros((6, 32, 32), dtype=np.uint8)
        marks[1:5, 8:24, 4 + n : 20 + n] = 1
        noise = rng.integers(0, 200, (2, 6, 32, 32))
        np.save(folder / f"case-{n}.image.npy", (noise + 800 * marks.astype(int)).astype(np.uint16))
        np.save(folder / f"case-{n}.mask.npy", marks)
    return folder


@pytest.fixture
def nonsense(tmp_path):
    """Another package, whose strategy `twice` picks one slice again and again."""
    (tmp_path / "nonsense").mkdir()
    code = (
        "from sfumato import Pick, Strategy\n"
        "TWICE = Strategy('?', 'tsallis', lambda s, k, seed: [Pick(0, 'x', 1.0)] * k)\n"
    )
    points = "[sfumato.strategies]\ntwice = nonsensical:TWICE\n"
    write_package(tmp_path / "nonsense", {"nonsensical": code}, points)
    with installed(tmp_path / "nonsense"):
        yield


def test_all_of_a_package_works_with_channels_and_context_and_nonsense_fails_by_name(
    arrays, nonsense, tmp_path, capfd
):
    out = tmp_path / "out"
    names = "tsallis-selective,twice,one-a-case"
    assert not run(arrays, out, names, (*GENTLE, "training.context=1"), layout="npy-pairs")
    said = " ".join(capfd.readouterr().err.split())
    assert said.count("failed:") == 1
    assert "twice-0 failed: the strategy 'twice' picked a slice twice" in said
    table = pd.read_csv(out / "rounds.csv")
    assert set(table["strategy"]) == {FULL, "tsallis-selective", "one-a-case"}
    picks = pd.read_csv(out / "selected.csv").groupby("strategy")["stream"].unique()
    assert set(picks["one-a-case"]) == {"one a case"}
    assert set(picks["tsallis-selective"]) == {"target", "boundary"}
    with safe_open(out / "seeds" / "0" / "first.safetensors", "pt") as weights:
        # Six planes: the slice before, the slice, the slice after, of two channels each.
        assert weights.get_slice("look.weight").get_shape() == [4, 6, 3, 3]


def test_names_are_refused_before_anything_is_run(phantom, tmp_path):
    out = tmp_path / "out"
    for strategies, changes, message in (
        ("tsalis", {}, "there is no strategy 'tsalis'"),
        ("random", {"assignments": ("training.network=tinny",)}, "there is no network 'tinny'"),
        ("random", {"layout": "npy"}, "there is no layout 'npy'"),
    ):
        with pytest.raises(UnknownName, match=message):
            run(phantom, out, strategies, **changes)
    write_package(
        tmp_path,
        {
            "broken": "import a_library_that_is_missing\n",
            "picky": "from sfumato_example.tiny import Tiny\n"
            "class Picky(Tiny):\n"
            "    accepts = {'width': range(8, 129, 8)}\n"
            "class Halved(Tiny):\n"
            "    def suffix(self, features): return super().suffix(features)[:, :, ::2]\n",
        },
        "[sfumato.networks]\nbroken = broken:NETWORK\npicky = picky:Picky\nhalved = picky:Halved\n",
    )
    with installed(tmp_path):
        for network, message in (
            ("broken", "a_library_that_is_missing"),
            ("picky", "takes 8, 16, 24 … 128 for training.width, not 2"),
            ("halved", "it gives logits of"),
        ):
            with pytest.raises(InvalidInput, match=message):
                run(phantom, out, "random", (*TINY, f"training.network={network}"))
    assert not out.exists()
