"""`sfumato tune`: what is measured once, kept by kind of machine, and told."""

import pytest
import torch
from rich.console import Console

from app.core.errors import InvalidInput
from app.loop.tunings import Tuned, find_tuned
from app.settings import NumericLimits, Settings
from tests.worker.projects import runner
from worker import tuning
from worker.segmentation.machine import machine
from worker.segmentation.precision import Precision
from worker.steps.compute import choose_compute


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=100)


def as_if(monkeypatch, training, scoring) -> None:
    """As if a training step and a pass took so long, by what they are measured with."""
    monkeypatch.setattr(
        tuning._Trial,
        "training_step",
        lambda self, threads, precision: training(threads, precision),
    )
    monkeypatch.setattr(tuning._Trial, "scoring_pass", lambda self, one: scoring(one))


def test_what_was_measured_is_kept_for_this_kind_of_machine_and_told(database, console):
    tuned = tuning.tune(database, Settings(), 2, 32, console)
    before = torch.get_num_threads()
    kind = machine(torch.device("cpu"), Precision(False)).kind
    with database.reading() as session:
        assert find_tuned(session, kind) == tuned
        assert find_tuned(session, "another machine") is None
    said = console.export_text()
    assert all(word in said for word in ("threads", "scoring", "chosen", f"kept for {kind}"))
    compute = choose_compute(database, Settings())
    assert str(compute.precision) == tuned.precision
    assert (compute.machine.threads, compute.scoring_batch) == (before, tuned.scoring_batch)


def test_only_what_is_clearly_faster_replaces_the_usual_and_changes_are_told(
    database, console, monkeypatch
):
    # SFUMATO_THREADS is set here: no number was measured, so none is kept for other processes.
    as_if(monkeypatch, lambda threads, p: 1.0, lambda one: 1.0 if one.batch == 8 else 0.95)
    assert tuning.tune(database, Settings(), 2, 32, console) == Tuned(0, "float32", "float32", 8)
    as_if(
        monkeypatch,
        lambda threads, p: 1.0,
        lambda one: 0.5 if one.precision.bfloat16 and one.batch == 16 else 1.0,
    )
    assert tuning.tune(database, Settings(), 2, 32, console) == Tuned(0, "bfloat16", "float32", 16)
    said = console.export_text()
    assert "changed since: precision float32 → bfloat16, scoring batch 8 → 16" in said
    assert "the same seed gives other figures" in said


def test_what_a_machine_cannot_do_is_left_out_and_nothing_at_all_is_an_error(
    database, console, monkeypatch
):
    def refuse(what, wrong):
        if wrong:
            raise RuntimeError(f"not implemented for {what}")
        return 1.0

    as_if(monkeypatch, lambda t, p: refuse(p, p.bfloat16), lambda one: refuse(one, one.batch > 8))
    assert tuning.tune(database, Settings(), 2, 32, console).training_precision == "float32"
    as_if(monkeypatch, lambda t, p: refuse(p, True), lambda one: 1.0)
    with pytest.raises(InvalidInput, match="nothing can be measured on cpu: not implemented"):
        tuning.tune(database, Settings(), 2, 32, console)
    with pytest.raises(InvalidInput, match="there is no device 'gpu'"):
        tuning.tune(database, Settings(device="gpu"), 2, 32, console)


def test_a_machine_says_which_instructions_it_computes_with(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert NumericLimits().given() == {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    found = machine(torch.device("cpu"), Precision(True))
    assert found.instructions == torch.backends.cpu.get_cpu_capability()
    assert "(oneDNN AVX2)" in str(found)
    assert "ONEDNN_MAX_CPU_ISA=AVX2" in found.kind
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    assert machine(torch.device("cpu"), Precision(True)).kind != found.kind
    record = found.to_dict()
    assert record["precision"] == "bfloat16"
    assert record["torch"] == torch.__version__


def test_a_device_that_is_not_there_fails_the_job_in_words(database):
    from tests.worker.projects import job_of, label_batch, make_project

    label_batch(database, make_project(database))
    runner(database, device="cuda:9").work()
    assert "the device 'cuda:9' is not there" in job_of(database).error
