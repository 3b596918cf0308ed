"""A slice that a training fails for is named and left out; the loop goes on without it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sqlalchemy import select

from app.api.schemas.rounds import ProgressOut
from app.core.model_scores import names_case, without_case
from app.core.project_settings import TrainingSettings
from app.loop.progress import progress
from app.store import JobState, ModelVersion
from tests.worker.projects import job_of, label_batch, make_project, runner
from tests.worker.test_learning import QUICK, described, weights_of
from tests.worker.test_segmentation import samples
from worker.segmentation import learning
from worker.segmentation.frames import Sample, standardise
from worker.segmentation.learning import learn
from worker.segmentation.memory import OutOfMemory
from worker.segmentation.networks.unet import UNet
from worker.segmentation.recipe import Lesson, Recipe, TrainingDiverged
from worker.steps import train as train_step

CPU = torch.device("cpu")
PAPER = QUICK.model_copy(update={"recipe": "paper", "epochs": 2, "members": 1})


def broken(sample: Sample) -> Sample:
    """A picture with a value that is no number."""
    image = sample.image.copy()
    image[0, 3, 3] = np.nan
    return replace(sample, image=image)


def lesson(made: list[Sample], settings: TrainingSettings) -> Lesson:
    return Lesson(made, settings, 5, CPU)


@pytest.mark.parametrize("settings", [QUICK, PAPER])
def test_a_slice_whose_loss_is_no_number_is_named_and_left_out(settings):
    made = samples(12)
    poisoned = [*made[:4], broken(made[4]), *made[5:]]
    learned = learn(described(settings), lesson(poisoned, settings), None)
    assert learned.notes["not_learned"] == [
        {"case": "case-1", "index": 4, "why": "its loss is nan"}
    ]
    # As if it had never been labelled.
    without = learn(described(settings), lesson([*made[:4], *made[5:]], settings), None)
    assert weights_of(learned) == weights_of(without)


def test_where_no_slice_can_be_learned_from_some_are_named():
    made = [broken(sample) for sample in samples(7)]
    with pytest.raises(TrainingDiverged, match=r"case-0/0 \(its loss is nan\).* and 2 more"):
        learn(described(PAPER), lesson(made, PAPER), None)


def test_a_slice_that_a_network_cannot_be_shown_is_left_out(monkeypatch):
    class Picky(UNet):
        def prefix(self, image):
            if image[0, 0, 0, 0] == 7:
                raise ValueError("no sevens")
            return super().prefix(image)

    monkeypatch.setattr(
        learning.weights, "make_network", lambda name, **known: Picky(**known), raising=True
    )
    plain = QUICK.model_copy(update={"augment": False})
    made = samples(12)
    made[2].image[0, 0, 0] = 7
    learned = learn(described(plain), lesson(made, plain), None)
    [one] = learned.notes["not_learned"]
    assert (one["index"], one["why"]) == (2, "the network cannot be shown it: no sevens")


def test_a_fault_that_is_no_slices_fault_is_told_as_it_is(monkeypatch):
    class Faulty(Recipe):
        def fit(self, model, lesson):
            raise RuntimeError("cuDNN error")

    monkeypatch.setattr(learning, "find_recipe", lambda name: Faulty())
    with pytest.raises(RuntimeError, match="cuDNN error"):
        learn(described(), lesson(samples(3), QUICK), None)


@pytest.mark.parametrize(("size", "error"), [(2, OutOfMemory), (4, torch.OutOfMemoryError)])
def test_memory_that_does_not_do_for_the_smallest_batch_is_an_error_of_ours(
    monkeypatch, size, error
):
    class Large(Recipe):
        def fit(self, model, lesson):
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(learning, "find_recipe", lambda name: Large())
    settings = QUICK.model_copy(update={"batch_size": size})
    with pytest.raises(error) as found:
        learn(described(settings), lesson(samples(3), settings), None)
    said = str(found.value) + "".join(getattr(found.value, "__notes__", []))
    assert "lower training." in said


@pytest.mark.parametrize("recipe", ["paper", "robust"])
def test_slices_of_one_pixel_make_no_training_fail(recipe):
    rng = np.random.default_rng(0)
    tiny = [
        Sample(f"c{n}", 0, rng.normal(size=(1, 1, 1)).astype(np.float32), np.ones((1, 1), "u1"))
        for n in range(5)
    ]
    settings = QUICK.model_copy(update={"recipe": recipe, "epochs": 8, "steps": 20, "members": 1})
    assert "not_learned" not in learn(described(settings), lesson(tiny, settings), None).notes


def test_values_without_finite_moments_are_a_flat_picture():
    pixels = np.arange(16, dtype=np.uint16).reshape(4, 4)
    for std in (np.nan, np.inf):
        assert not standardise(pixels, np.inf, std).any()


def test_the_loop_goes_on_and_the_slice_is_in_sight(database, monkeypatch):
    project = make_project(database)
    label_batch(database, project)
    plain, seen = train_step.samples, []

    def with_one_broken(loaded):
        for sample in plain(loaded):
            # The first that is read of the pool, whenever it is read.
            if not seen or (sample.case, sample.index) == seen[0]:
                seen[:1] = [(sample.case, sample.index)]
                sample = broken(sample)
            yield sample

    monkeypatch.setattr(train_step, "samples", with_one_broken)
    runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED, job_of(database).error
    case, index = seen[0]
    with database.reading() as session:
        model = session.scalars(select(ModelVersion)).one()
        assert len(model.mask_ids) == 2
        found = ProgressOut.model_validate(progress(session, project)).not_learned
        assert [(one.case, one.index, one.why) for one in found] == [
            (case, index, "its loss is nan")
        ]
        assert names_case(model.scores, case)
        assert not names_case(without_case(model.scores, case), case)
