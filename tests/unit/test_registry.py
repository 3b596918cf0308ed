"""What names stand for: ours, those of an installed package, and what is broken."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from app.core import catalogue
from app.core.errors import CannotLoad, InvalidInput, UnknownName
from tests.plugins import EXAMPLE, installed, write_package
from worker.acquisition.pool import Pick
from worker.acquisition.strategies import AGGREGATIONS
from worker.picks import check_picks
from worker.registry import (
    find_measure,
    find_network,
    find_strategy,
    own_measures,
    report,
)


@pytest.fixture
def example():
    with installed(EXAMPLE):
        yield


@pytest.fixture
def broken(tmp_path):
    """A package in which everything is wrong."""
    write_package(
        tmp_path,
        {
            "broken_import": "import a_library_that_is_missing\n",
            "broken_kinds": (
                "from sfumato import Network, Strategy\n"
                "MEASURE = {'of': None}\n"
                "STRATEGY = 7\n"
                "LOST = Strategy('lost', 'unheard-of', lambda scores, k, seed: [])\n"
                "def NETWORK(classes): ...\n"
                "class HALF(Network):\n"
                "    def prefix(self, image): return (image,)\n"
            ),
        },
        "[sfumato.measures]\nmissing = broken_import:MEASURE\ndict = broken_kinds:MEASURE\n"
        "absent = broken_kinds:NOTHING\n../../up = broken_kinds:MEASURE\n"
        "[sfumato.strategies]\nseven = broken_kinds:STRATEGY\nlost = broken_kinds:LOST\n"
        "[sfumato.networks]\nfunction = broken_kinds:NETWORK\nhalf = broken_kinds:HALF\n",
    )
    with installed(tmp_path):
        yield


def test_a_package_is_listed_without_loading_torch_or_itself():
    code = (
        "import sys\n"
        "from app.core import catalogue\n"
        "assert 'tsallis' in catalogue.names('measure')\n"
        "assert {'one-a-case', 'tsallis-selective-diverse'} <= {*catalogue.names('strategy')}\n"
        "assert 'npy-pairs' in catalogue.names('layout')\n"
        "assert 'tiny' in catalogue.names('network')\n"
        "import sfumato\n"
        "sfumato.Layout, sfumato.CaseVolume\n"
        "assert not {'torch', 'worker', 'sfumato_example'} & set(sys.modules)\n"
        "for name in sfumato.__all__: getattr(sfumato, name)\n"
    )
    paths = os.pathsep.join([str(EXAMPLE), str(Path.cwd())])
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_a_measure_of_a_package_comes_in_every_aggregation(example):
    for suffix in AGGREGATIONS:
        strategy = find_strategy("tsallis" + suffix)
        assert (strategy.name, strategy.measure) == ("tsallis" + suffix, "tsallis")
        assert strategy.select is AGGREGATIONS[suffix].select
    assert find_measure("tsallis").highest(4) == 0.75


def test_the_entry_point_names_a_strategy_whatever_it_calls_itself(example):
    assert find_strategy("one-a-case").name == "one-a-case"
    assert catalogue.find("strategy", "one-a-case").package == "sfumato-example"


def test_all_that_works_is_reported_without_an_error(example):
    found = {(one.kind, one.name): one.error for one in report()}
    assert set(found.values()) == {None}
    assert {
        ("measure", "tsallis"),
        ("strategy", "one-a-case"),
        ("strategy", "tsallis-selective-power"),
        ("network", "tiny"),
        ("network", "unet"),
    } <= set(found)


def test_what_is_broken_is_reported_with_the_reason(broken):
    errors = {one.name: one.error for one in report() if one.error}
    assert "a_library_that_is_missing" in errors["missing"]
    assert "of the package broken-example" in errors["missing"]
    assert "NOTHING" in errors["absent"]
    assert "is of type dict, not a sfumato.Measure" in errors["dict"]
    assert "is of type int, not a sfumato.Strategy" in errors["seven"]
    assert "'unheard-of', which no installed package has registered" in errors["lost"]
    assert "not a class derived from sfumato.Network" in errors["function"]
    assert errors["half"].endswith("lacks suffix")
    # What ranks by a broken measure is as broken; all of ours is well.
    assert "a_library_that_is_missing" in errors["missing-selective"]
    assert not set(errors) & set(catalogue.own_names("strategy"))
    with pytest.raises(CannotLoad, match="cannot be used"):
        find_strategy("dict-target")


def test_a_name_that_leads_out_of_a_folder_is_not_taken(broken):
    assert not any("up" in name for name in catalogue.names("measure"))


@pytest.mark.parametrize("find", [find_measure, find_strategy, find_network])
def test_an_unknown_name_is_answered_with_those_that_there_are(find):
    with pytest.raises(UnknownName, match=r"'entropi': choose one of .*(entropy|unet)"):
        find("entropi")


def test_our_own_names_cannot_be_taken(tmp_path):
    write_package(
        tmp_path,
        {"thief": "def steal(*_): ...\n"},
        "[sfumato.measures]\nentropy = thief:steal\n[sfumato.strategies]\nrandom = thief:steal\n",
    )
    with installed(tmp_path):
        assert find_measure("entropy") is own_measures()["entropy"]
        assert find_strategy("random").measure is None


def test_a_strategy_in_a_file_of_ones_own_is_found_by_its_address(tmp_path, monkeypatch):
    (tmp_path / "my_file.py").write_text(
        "from sfumato import Strategy\n"
        "MINE = Strategy('mine', None, lambda scores, k, seed: [])\n"
        "THEIRS = Strategy('entropy', None, MINE.select)\n"
        "OUT = Strategy('../out', None, MINE.select)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_strategy("my_file:MINE").name == "mine"
    for name, message in (
        ("my_file:THEIRS", "give it a name of its own"),
        ("my_file:OUT", "cannot name a strategy"),
        ("my_file:YOURS", "has no attribute 'YOURS'"),
        ("no_file:MINE", "No module named 'no_file'"),
    ):
        with pytest.raises(CannotLoad, match=message):
            find_strategy(name)


def test_good_picks_come_back_with_plain_numbers():
    picks = [Pick(np.int64(2), "total", np.float32(0.5)), Pick(0, "mine", None)]
    checked = check_picks("mine", picks, 2, 3)
    assert checked == [Pick(2, "total", 0.5), Pick(0, "mine", None)]
    assert type(checked[0].index) is int
    assert check_picks("mine", [], 4, 0) == []


@pytest.mark.parametrize(
    ("picks", "message"),
    [
        (None, "returned NoneType, not a list"),
        ([3, 4], "returned int in place of a pick"),
        ([Pick(0, "a", None), Pick(0, "a", None)], "picked a slice twice"),
        ([Pick(0, "a", None), Pick(5, "a", None)], "picked slice 5, which is not one of 0 to 4"),
        ([Pick(0, "a", None), Pick(-1, "a", None)], "picked slice -1"),
        ([Pick(0, "a", None), Pick(1.0, "a", None)], r"picked slice 1\.0"),
        ([Pick(0, "a", None)], "picked 1 slices where 2 were asked for"),
        ([Pick(n, "a", None) for n in range(3)], "picked 3 slices where 2 were asked for"),
        ([Pick(0, "a" * 21, None), Pick(1, "a", None)], "must have 1 to 20 letters"),
        ([Pick(0, "a", float("nan")), Pick(1, "a", None)], "no finite number"),
        ([Pick(0, "a", torch.tensor(1.0)), Pick(1, "a", None)], "no finite number"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_the_strategy(picks, message):
    with pytest.raises(InvalidInput, match=f"the strategy 'theirs' .*{message}"):
        check_picks("theirs", picks, 2, 5)
