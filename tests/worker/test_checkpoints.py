"""A training that is cut off goes on from its checkpoint, and comes to the very same weights."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from app.core.project_settings import TrainingSettings
from tests.worker.test_learning import described, weights_of
from tests.worker.test_segmentation import samples
from worker.segmentation import checkpoint, learning
from worker.segmentation.checkpoint import Standing
from worker.segmentation.learning import learn
from worker.segmentation.recipe import Collapsed, Course, Lesson, Narrow, Recipe, seed_all

CPU = torch.device("cpu")
ROBUST = TrainingSettings(width=2, steps=14, batch_size=4, members=3)
PAPER = TrainingSettings(
    recipe="paper", width=2, epochs=5, batch_size=4, learning_rate=0.01, members=2
)


class Killed(Exception):
    """The worker is gone."""


@dataclass
class Shelf:
    """Checkpoints in memory: one is always due."""

    bodies: list[bytes] = field(default_factory=list)

    def due(self) -> bool:
        return True

    def save(self, body: bytes) -> None:
        self.bodies.append(body)

    def load(self) -> bytes | None:
        return self.bodies[-1] if self.bodies else None


def lesson(settings: TrainingSettings, **more) -> Lesson:
    validation = [replace(s, case=f"v{s.case}") for s in samples(3, seed=8)]
    return Lesson(samples(12), settings, 5, CPU, validation=validation, **more)


@dataclass
class Counter:
    """Counts the steps of a lesson."""

    steps: int = 0

    def __call__(self) -> None:
        self.steps += 1


def killed_after(steps: int):
    """What a lesson calls before each step: raises at the one after so many."""
    left = [steps]

    def on_step() -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1

    return on_step


def cut_off(settings: TrainingSettings, steps: int, shelf: Shelf) -> None:
    """A training whose worker dies after so many steps."""
    cut = lesson(settings, on_step=killed_after(steps))
    with pytest.raises(Killed):
        learn(described(settings), cut, None, checkpoints=shelf)


@pytest.mark.parametrize(
    ("settings", "steps"),
    # In the first network, just at its half, in a later one, and where one has just ended.
    [(ROBUST, n) for n in (3, 7, 14, 20, 33)] + [(PAPER, n) for n in (1, 5, 9, 14, 17)],
)
def test_a_training_that_was_cut_off_comes_to_the_same_weights(settings, steps):
    every, rest = Counter(), Counter()
    whole = learn(described(settings), lesson(settings, on_step=every), None)
    shelf = Shelf()
    cut_off(settings, steps, shelf)
    # The worker that goes on is another process: nothing of these is as it was.
    seed_all(99)
    resumed = learn(described(settings), lesson(settings, on_step=rest), None, checkpoints=shelf)
    assert weights_of(resumed) == weights_of(whole)
    # The paper's recipe goes on from epochs, here of two steps.
    lost = 0 if settings is ROBUST else steps % 2
    assert rest.steps == every.steps - steps + lost
    expected = {k: v for k, v in whole.notes.items() if k != "resumed"}
    assert {k: v for k, v in resumed.notes.items() if k != "resumed"} == expected
    assert ("resumed" in resumed.notes) is (steps - lost > 0)


def test_keeping_checkpoints_changes_nothing():
    for settings in (ROBUST, PAPER):
        plain = learn(described(settings), lesson(settings), None)
        kept = learn(described(settings), lesson(settings), None, checkpoints=Shelf())
        assert weights_of(kept) == weights_of(plain)
        assert kept.notes == plain.notes


def test_it_can_be_cut_off_time_and_again():
    whole = learn(described(ROBUST), lesson(ROBUST), None)
    shelf = Shelf()
    for _ in range(8):
        cut_off(ROBUST, 5, shelf)
    resumed = learn(described(ROBUST), lesson(ROBUST), None, checkpoints=shelf)
    assert weights_of(resumed) == weights_of(whole)
    assert len(resumed.notes["resumed"]) == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": ROBUST.model_copy(update={"learning_rate": 0.5})}, "other settings"),
        ({"training": samples(12, seed=3)}, "other labels"),
        ({"seed": 6}, "other settings"),
    ],
)
def test_a_checkpoint_of_another_training_is_left_alone_and_that_is_noted(change, words):
    shelf = Shelf()
    cut_off(ROBUST, 20, shelf)
    other = replace(lesson(ROBUST), **change)
    learned = learn(described(ROBUST), other, None, checkpoints=shelf)
    assert words in learned.notes["checkpoint"]
    assert weights_of(learned) == weights_of(learn(described(ROBUST), other, None))


def test_a_checkpoint_of_other_code_or_of_no_sense_is_left_alone(monkeypatch):
    shelf = Shelf()
    cut_off(ROBUST, 20, shelf)
    with monkeypatch.context() as patched:
        patched.setattr(torch, "__version__", "another")
        learned = learn(described(ROBUST), lesson(ROBUST), None, checkpoints=shelf)
        assert learned.notes["checkpoint"] == "not gone on from: it was of other code"
    learned = learn(described(ROBUST), lesson(ROBUST), None, checkpoints=Shelf([b"no such thing"]))
    assert "not gone on from" in learned.notes["checkpoint"]


def test_a_network_that_had_collapsed_goes_on_at_the_try_that_it_was_at(monkeypatch):
    class Shaky(Recipe):
        """Collapses at first; draws from all generators, and can be gone on with."""

        guarded = True
        learning_rate = 0.03

        def fit(self, model, lesson):
            seed_all(lesson.seed)
            if lesson.watched and lesson.settings.learning_rate is None:
                raise Collapsed(Narrow([0], [0, 1]), 7)
            rates.append(lesson.settings.learning_rate)
            begun = 0
            if lesson.saved is not None:
                begun = lesson.saved.values["step"]
                model.load_state_dict(lesson.saved.part("network").tensors)
            for step in range(begun, 4):
                lesson.on_step()
                model.head.weight.data.add_(1.0)
                here = Standing({"step": step + 1}).beside(network=Standing({}, model.state_dict()))
                lesson.on_checkpoint(lambda here=here: here)
            return Course(4, 0.5, {})

    rates: list[float] = []
    monkeypatch.setattr(learning, "find_recipe", lambda name: Shaky())
    monkeypatch.setattr(learning, "narrow", lambda *arguments: None)
    settings = ROBUST.model_copy(update={"members": 1})
    whole = learn(described(settings), lesson(settings), None)
    shelf = Shelf()
    cut_off(settings, 2, shelf)
    resumed = learn(described(settings), lesson(settings), None, checkpoints=shelf)
    assert rates == [pytest.approx(0.01)] * 3
    assert resumed.notes["collapses"] == whole.notes["collapses"]
    assert weights_of(resumed) == weights_of(whole)


def test_a_recipe_that_cannot_be_gone_on_with_keeps_the_members_that_are_done(monkeypatch):
    class Plain(Recipe):
        def fit(self, model, lesson):
            lesson.on_step()
            # Of a generator that nobody has seeded for it.
            model.head.weight.data.copy_(torch.randn_like(model.head.weight))
            model.head.bias.data.fill_(float(np.random.rand()))
            fitted.append(lesson.seed)
            return Course(1, 0.0, {})

    fitted: list[int] = []
    monkeypatch.setattr(learning, "find_recipe", lambda name: Plain())
    whole = learn(described(ROBUST), lesson(ROBUST), None)
    fitted.clear()
    shelf = Shelf()
    cut_off(ROBUST, 2, shelf)
    resumed = learn(described(ROBUST), lesson(ROBUST), None, checkpoints=shelf)
    assert len(fitted) == 3
    assert weights_of(resumed) == weights_of(whole)


def test_a_checkpoint_is_safetensors_with_plain_values():
    body = checkpoint.dump(Standing({"step": 3}).beside(a=Standing({}, {"w": torch.ones(2, 2)})))
    assert b"pickle" not in body
    again = checkpoint.load(body)
    assert again.values == {"step": 3, "a": {}}
    assert torch.equal(again.part("a").tensors["w"], torch.ones(2, 2))
    with pytest.raises(ValueError, match="no checkpoint"):
        checkpoint.load(b"")
