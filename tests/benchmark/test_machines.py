"""Which machine computed a row stands in the table, and a mixture is told."""

from pathlib import Path

import pandas as pd
import pytest

from app.core.errors import InvalidInput
from app.settings import NumericLimits
from worker.benchmark.parts import machines_differ
from worker.benchmark.record import Record, read_rounds
from worker.benchmark.settings import surroundings

OLD = Path(__file__).parents[2] / "docs" / "results" / "lgg-flair-claim"


def test_rows_of_different_instruction_sets_are_told():
    alike = ["AVX2/1 threads/float32/torch 2.9", "AVX2/2 threads/float32/torch 2.9", ""]
    assert machines_differ(pd.DataFrame({"machine": alike})) is None
    mixed = [*alike, "AVX512/1 threads/float32/torch 2.9"]
    words = machines_differ(pd.DataFrame({"machine": mixed}))
    assert "AVX2 (2 rows), AVX512 (1 rows)" in words


def test_a_table_of_before_machines_were_noted_is_read():
    table = read_rounds(Record(OLD))
    assert set(table["machine"]) == {""}
    assert machines_differ(table) is None


def test_instructions_are_pinned_by_name_and_noted(monkeypatch):
    for name, value in NumericLimits.pinned_to("avx2").items():
        monkeypatch.setenv(name, value)
    assert surroundings()["limits"] == {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    with pytest.raises(InvalidInput, match="'mmx': choose sse4, avx2, avx512"):
        NumericLimits.pinned_to("mmx")


def test_settings_name_the_instruction_set_and_not_the_processor_alone():
    found = surroundings()
    assert found["processor"]
    assert found["instructions"]
