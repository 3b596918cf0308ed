"""How a round's network is trained: by which recipe, in which folds, and what is said of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.core import catalogue
from app.core.errors import InvalidInput, UnknownName
from app.core.project_settings import TrainingSettings
from tests.plugins import EXAMPLE, installed
from tests.worker.test_segmentation import samples
from worker.acquisition import uncertainty
from worker.registry import find_recipe
from worker.segmentation import learning, weights
from worker.segmentation.augmentation import Strength, Variation
from worker.segmentation.ensemble import Ensemble
from worker.segmentation.evaluating import evaluate, pixel_loss
from worker.segmentation.frames import Sample, frame
from worker.segmentation.learning import Parent, deal, learn
from worker.segmentation.losses import DiceAndCrossEntropy
from worker.segmentation.network import probabilities
from worker.segmentation.networks.unet import UNet
from worker.segmentation.recipe import (
    Collapsed,
    Course,
    Lesson,
    Recipe,
    TrainingDiverged,
    narrow,
)
from worker.segmentation.recipes.robust import draws

CPU = torch.device("cpu")
QUICK = TrainingSettings(width=2, steps=12, batch_size=4, members=2)


def described(settings: TrainingSettings = QUICK, classes: int = 2) -> dict:
    return weights.architecture(classes, 1, settings)


def lesson(count: int = 12, settings: TrainingSettings = QUICK, **more) -> Lesson:
    return Lesson(samples(count), settings, 5, CPU, **more)


def weights_of(learned) -> bytes:
    return weights.dump(learned.network.state_dict())


def parent_of(learned, number: int = 1, settings: TrainingSettings = QUICK) -> Parent:
    return Parent(number, weights_of(learned), described(settings), learned.folds, learned.learned)


@pytest.mark.parametrize("name", catalogue.own_names("recipe"))
@pytest.mark.parametrize("classes", [2, 4])
def test_every_recipe_learns_and_does_so_again(name, classes):
    settings = QUICK.model_copy(
        update={"recipe": name, "members": 1, "learning_rate": 0.01, "steps": 80, "epochs": 26}
    )
    told = []
    states = []
    for _ in range(2):
        shown = Lesson(samples(12, classes=classes), settings, 3, CPU, on_progress=told.append)
        learned = learn(described(settings, classes), shown, None)
        states.append(weights_of(learned))
    before = evaluate(weights.build(described(settings, classes)), shown.training, 4, CPU)
    after = evaluate(learned.network, shown.training, 4, CPU)
    assert after["loss"] < before["loss"]
    assert states[0] == states[1]
    assert told
    assert learned.notes["recipe"] == name


def test_each_member_leaves_its_own_fold_out(monkeypatch):
    seen = []

    class Watching(Recipe):
        members = 3

        def fit(self, model, lesson):
            seen.append({sample.case for sample in lesson.training})
            return Course(1, 0.0, {})

    monkeypatch.setattr(learning, "find_recipe", lambda name: Watching())
    settings = QUICK.model_copy(update={"members": 3})
    learned = learn(described(settings), lesson(18, settings), None)
    every = {sample.case for sample in samples(18)}
    assert set(learned.folds) == every
    for number, cases in enumerate(seen):
        assert every - cases == {case for case, fold in learned.folds.items() if fold == number}
        assert every - cases
    assert learned.cross_validation["slices"] == 18


def test_a_case_stays_in_its_fold_as_others_come():
    first = deal(samples(12), {}, 3)
    later = deal(samples(30), first, 3)
    assert later.items() >= first.items()
    sizes = [sum(3 for fold in later.values() if fold == n) for n in range(3)]
    assert max(sizes) - min(sizes) <= 3
    assert deal(samples(6), {}, 3) == {}  # two cases cannot be left out by three


def some_of(cases: str, count: int = 3) -> list[Sample]:
    """Slices of cases whose names are letters."""
    made = samples(count * len(cases))
    return [replace(s, case=cases[n // count]) for n, s in enumerate(made)]


def test_a_case_whose_labels_come_back_has_the_fold_that_it_had():
    first = deal(some_of("ABC"), {}, 3)
    meanwhile = deal(some_of("BCD"), first, 3)
    assert deal(some_of("ABCDE"), meanwhile, 3)["A"] == first["A"]


def test_where_one_fold_is_all_that_is_left_cases_are_dealt_anew():
    folds = deal(some_of("AC"), {"A": 0, "B": 1, "C": 0}, 2)
    assert sorted(folds.values()) == [0, 1]
    # Its members have learned from what they leave out now: they begin anew.
    parent = learn(described(), replace(lesson(), training=some_of("ABC")), None)
    alone = [case for case in "ABC" if parent.folds[case] == 0]
    assert len(alone) == 2
    rest = replace(lesson(), training=some_of("".join(alone)))
    later = learn(described(), rest, parent_of(parent))
    assert not later.warm
    assert later.judged is None


def test_a_network_is_not_gone_on_from_where_it_knows_what_its_successor_is_stopped_by():
    alone = QUICK.model_copy(update={"members": 1})
    whole = learn(described(alone), replace(lesson(settings=alone), training=some_of("ABC")), None)
    paper = alone.model_copy(update={"recipe": "paper", "epochs": 1})
    for held_out, warm in (("C", False), ("D", True)):
        one = replace(lesson(settings=paper), training=some_of("AB"), validation=some_of(held_out))
        learned = learn(described(paper), one, parent_of(whole, settings=alone))
        assert learned.warm is warm
        assert learned.learned == (["A", "B", "C"] if warm else ["A", "B"])


def test_another_network_is_judged_beside_its_parent_on_a_validation_split():
    parent = learn(described(), lesson(12), None)
    wider = QUICK.model_copy(update={"width": 3, "members": 1})
    one = lesson(12, wider, validation=samples(6, seed=8))
    one = replace(one, validation=[replace(s, case=f"v{s.case}") for s in one.validation])
    learned = learn(described(wider), one, parent_of(parent))
    assert not learned.warm
    assert learned.judged["on"] == "validation"
    # With a neighbour on each side it is shown other pictures: nothing to compare.
    around = wider.model_copy(update={"context": 1})
    made = [replace(s, image=s.image.repeat(3, axis=0)) for s in samples(12)]
    other = learn(
        described(around), replace(one, training=made, validation=made), parent_of(parent)
    )
    assert other.judged is None


def test_a_difference_that_hangs_on_one_case_holds_nothing_back():
    def figures(*dice: float) -> dict:
        return {"by_case": {f"c{n}": {"dice": [one]} for n, one in enumerate(dice)}}

    before = figures(0.8, 0.7, 0.6, 0.9, 0.5)
    low, high = learning.gain(figures(0.8, 0.7, 0.6, 0.9, 0.0), before)
    assert low < high == 0
    assert learning.gain(figures(0.7, 0.6, 0.5, 0.8, 0.4), before)[1] < -0.05
    assert learning.gain(figures(0.1), figures(0.2)) is None


def test_a_model_that_is_worse_than_its_parent_is_held_back():
    good = QUICK.model_copy(update={"steps": 150, "learning_rate": 0.01})
    parent = learn(described(), lesson(18, good), None)
    bad = QUICK.model_copy(update={"steps": 40, "learning_rate": 1.0})
    known = parent_of(parent, 4)
    worse = learn(described(), lesson(24, bad), known)
    assert worse.judged["on"] == "cross-validation"
    assert worse.judged["theirs"] - worse.judged["ours"] > 0.05
    assert worse.judged["slices"] == 24
    assert worse.held_back.startswith("worse than model 4 by 0.")
    assert "on 24 slices of 8 cases" in worse.held_back
    better = learn(described(), lesson(24, good), known)
    assert better.held_back is None
    # The paper has no such rule.
    papers = bad.model_copy(update={"recipe": "paper", "epochs": 2})
    assert learn(described(), lesson(24, papers), known).held_back is None


def test_a_given_validation_split_judges_before_the_folds():
    parent = learn(described(), lesson(12), None)
    known = parent_of(parent)
    given = [replace(s, case=f"v{s.case}") for s in samples(6, seed=8)]
    learned = learn(described(), lesson(15, validation=given), known)
    assert learned.judged["on"] == "validation"
    assert learned.judged["slices"] == 6


def test_a_parent_that_has_seen_all_cases_is_not_gone_on_from_into_folds():
    whole = learn(described(), lesson(3), None)  # a single case: nothing to leave out
    assert whole.folds == {}
    assert whole.cross_validation is None
    later = learn(described(), lesson(12), parent_of(whole))
    fresh = learn(described(), lesson(12), None)
    assert weights_of(later) == weights_of(fresh)
    assert later.judged is None


class Stubborn(Recipe):
    """Predicts nothing, as often as it is told to."""

    guarded = True
    learning_rate = 0.03

    def __init__(self, times: int, early: bool = False) -> None:
        self.times, self.early = times, early
        self.tried: list[tuple[int, float | None]] = []

    def fit(self, model, lesson):
        self.tried.append((lesson.seed, lesson.settings.learning_rate))
        if len(self.tried) <= self.times:
            model.head.weight.data.zero_()
            model.head.bias.data.fill_(-5.0)
            found = learning.narrow(model, lesson.training, CPU)
            if self.early and lesson.watched:
                raise Collapsed(found, 7)
        else:
            model.head.weight.data.copy_(torch.tensor([5.0, -5.0]).view(1, 2, 1, 1))
            model.head.bias.data.zero_()
        return Course(12, 0.5, {})


@pytest.mark.parametrize("early", [False, True])
def test_a_collapse_is_answered_by_another_seed_and_a_lower_rate(monkeypatch, early):
    recipe = Stubborn(2, early)
    monkeypatch.setattr(learning, "find_recipe", lambda name: recipe)
    settings = QUICK.model_copy(update={"members": 1})
    learned = learn(described(settings), lesson(12, settings), None)
    seeds, rates = zip(*recipe.tried, strict=True)
    assert len(set(seeds)) == 3
    assert rates == (None, pytest.approx(0.01), pytest.approx(0.03 / 9))
    assert [one["predicted"] for one in learned.notes["collapses"]] == [[0], [0]]
    assert [one["step"] for one in learned.notes["collapses"]] == [7 if early else 12] * 2


def test_a_network_that_never_finds_anything_is_kept_and_noted(monkeypatch):
    recipe = Stubborn(99, early=True)
    monkeypatch.setattr(learning, "find_recipe", lambda name: recipe)
    settings = QUICK.model_copy(update={"members": 1})
    learned = learn(described(settings), lesson(12, settings), None)
    assert len(recipe.tried) == len(learned.notes["collapses"]) == learning.TRIES


def test_a_collapsed_network_takes_no_place_of_one_that_sees_something(monkeypatch):
    settings = QUICK.model_copy(update={"members": 1})
    good = settings.model_copy(update={"steps": 150, "learning_rate": 0.01})
    seeing = learn(described(settings), lesson(12, good), None)
    recipe = Stubborn(99)
    monkeypatch.setattr(learning, "find_recipe", lambda name: recipe)
    blind = learn(described(settings), lesson(12, settings), None)
    for before, held_back in ((seeing, True), (blind, False)):
        parent = Parent(1, weights_of(before), described(settings), {}, ["x"])
        learned = learn(described(settings), lesson(12, settings), parent)
        assert learned.notes["collapsed"] == {"predicted": [0], "labelled": [0, 1]}
        assert (learned.held_back is not None) is held_back
    assert "of the classes 0, 1 it predicts 0 alone" in str(
        learning.Narrow(**learned.notes["collapsed"])
    )


def test_a_loss_that_is_no_number_is_answered_as_a_collapse_is(monkeypatch):
    class Wild(Stubborn):
        def fit(self, model, lesson):
            course = super().fit(model, lesson)
            if len(self.tried) <= self.times:
                raise TrainingDiverged("the loss is nan")
            return course

    settings = QUICK.model_copy(update={"members": 1})
    monkeypatch.setattr(learning, "find_recipe", lambda name: Wild(1))
    learned = learn(described(settings), lesson(12, settings), None)
    assert [one["predicted"] for one in learned.notes["collapses"]] == [[]]
    assert "collapsed" not in learned.notes
    monkeypatch.setattr(learning, "find_recipe", lambda name: Wild(99))
    with pytest.raises(TrainingDiverged):
        learn(described(settings), lesson(12, settings), None)


@pytest.mark.parametrize(
    ("left", "error", "words"),
    [
        (None, InvalidInput, "returned NoneType, not a Course"),
        (Course(1, 0.0, {"seen": {1, 2}}), InvalidInput, "no plain value"),
        (Course(1, 0.0, {}), TrainingDiverged, "left weights that are no numbers"),
    ],
)
def test_what_a_recipe_leaves_is_checked_before_it_is_kept(monkeypatch, left, error, words):
    class Careless(Recipe):
        def fit(self, model, lesson):
            model.head.bias.data.fill_(math.nan)
            return left

    monkeypatch.setattr(learning, "find_recipe", lambda name: Careless())
    settings = QUICK.model_copy(update={"members": 1})
    with pytest.raises(error, match=words):
        learn(described(settings), lesson(12, settings), None)


def test_weights_that_are_no_numbers_are_not_gone_on_from():
    settings = QUICK.model_copy(update={"members": 1})
    ruined = weights.build(described(settings))
    ruined.head.bias.data.fill_(math.nan)
    parent = Parent(1, weights.dump(ruined.state_dict()), described(settings), {}, ["x"])
    learned = learn(described(settings), lesson(12, settings), parent)
    assert not learned.warm
    assert math.isfinite(learned.notes["train_loss"])


@pytest.mark.parametrize(
    ("predicted", "missed"),
    [((0, 1, 2), None), ((0, 1), [0, 1]), ((1,), [1]), ((0,), [0]), ((1, 2), [1, 2])],
)
def test_a_class_that_is_common_and_never_seen_is_missed(predicted, missed):
    class Fixed(UNet):
        """Says of each pixel what it shows, as far as it knows the class."""

        def forward(self, image):
            seen = torch.full((len(image), 3, *image.shape[2:]), -9.0)
            for known in predicted:
                seen[:, known] = 9.0 * (image[:, 0] == known).float()
            seen[:, predicted[-1]] += 1.0
            return seen

    rng = np.random.default_rng(0)
    made = []
    for case in range(20):
        marks = rng.integers(0, 3, (16, 16)).astype(np.uint8)
        made.append(Sample(f"c{case}", 0, marks[np.newaxis].astype(np.float32), marks))
    found = narrow(Fixed(3, width=2), made, CPU)
    assert (found and found.predicted) == missed
    if missed:
        assert found.labelled == [0, 1, 2]


def test_a_stray_pixel_and_a_rare_class_change_nothing():
    class Stray(UNet):
        def forward(self, image):
            logits = torch.full((len(image), 1, *image.shape[2:]), -9.0)
            logits[0, 0, 0, 0] = 9.0
            return logits

    marks = np.zeros((16, 16), dtype=np.uint8)
    marks[2:12, 2:12] = 1
    made = [Sample("c", n, np.zeros((1, 16, 16), np.float32), marks) for n in range(8)]
    assert narrow(Stray(2, width=2), made, CPU).predicted == [0]

    class Sees(UNet):
        def forward(self, image):
            logits = torch.full((len(image), 3, *image.shape[2:]), -9.0)
            logits[:, 0] = 0
            logits[:, 1, 2:12, 2:12] = 9.0
            return logits

    marks[0, 0] = 2
    assert narrow(Sees(3, width=2), made, CPU) is None


def test_labels_without_any_target_are_no_collapse(monkeypatch):
    recipe = Stubborn(99)
    monkeypatch.setattr(learning, "find_recipe", lambda name: recipe)
    settings = QUICK.model_copy(update={"members": 1})
    blank = [replace(s, classes=np.zeros_like(s.classes)) for s in samples(12)]
    learned = learn(described(settings), Lesson(blank, settings, 0, CPU), None)
    assert learned.notes["collapses"] == []
    assert len(recipe.tried) == 1


def test_an_ensemble_is_the_mean_of_its_members_and_they_are_its_passes():
    for classes in (2, 3):
        torch.manual_seed(1)
        members = [UNet(classes, width=2).eval() for _ in range(3)]
        both = Ensemble(members).eval()
        image = torch.randn(2, 1, 32, 48)
        each = torch.stack([probabilities(member(image)) for member in members])
        torch.testing.assert_close(probabilities(both(image)), each.mean(0), atol=1e-5, rtol=1e-4)
        features = both.prefix(image)
        assert features[-1].shape == (2, 3 * 32, 2, 3)
        passes = torch.stack([probabilities(one) for one in both.passes(features, 10)])
        torch.testing.assert_close(passes, each, atol=1e-6, rtol=1e-5)
        bald = uncertainty.mutual_information(passes)
        assert bald.shape == (2, 32, 48)
        assert bald.max() > 0


def test_an_ensemble_is_kept_and_built_again():
    settings = QUICK.model_copy(update={"members": 3})
    model = weights.build(described(settings)).eval()
    assert isinstance(model, Ensemble)
    image = torch.randn(1, 1, 32, 32)
    again = weights.restore(described(settings), weights.dump(model.state_dict()))
    torch.testing.assert_close(again(image), model(image))
    # Models of earlier versions have no members.
    old = {k: v for k, v in described(settings).items() if k != "members"}
    assert isinstance(weights.build(old), UNet)


def test_batches_hold_targets_of_every_class_in_turn():
    made = [replace(s, classes=np.zeros_like(s.classes)) for s in samples(40)]
    for number, mark in ((3, 1), (4, 1), (5, 2)):
        made[number].classes[:4, :4] = mark
    rng = np.random.default_rng(0)
    drawn = draws(made, 8, 0.5, 4, rng)
    taken = [next(drawn) for _ in range(30)]
    for batch in taken:
        assert sum(bool(sample.classes.any()) for sample in batch) >= 4
    marks = [int(sample.classes.max()) for batch in taken for sample in batch]
    assert abs(marks.count(1) - marks.count(2)) < 0.4 * marks.count(2)
    # Nothing to prefer: all are drawn evenly.
    blank = [replace(s, classes=np.zeros_like(s.classes)) for s in samples(6)]
    first = [s.index for s in next(draws(blank, 6, 0.5, 2, rng))]
    assert sorted(first) == list(range(6))


def test_dice_and_cross_entropy_by_hand():
    marks = np.zeros((16, 16), dtype=np.uint8)
    marks[:8] = 1
    batch = frame([Sample("a", 0, np.zeros((1, 16, 16), np.float32), marks)], 16)
    logits = torch.zeros(1, 1, 16, 16)
    # P = 0.5 everywhere: intersection 64, sizes 128 and 128.
    found = float(DiceAndCrossEntropy(2)(logits, batch))
    assert found == pytest.approx(1 - 2 * 64 / 256 + math.log(2), abs=1e-4)
    of_three = torch.zeros(1, 3, 16, 16)
    dice_1 = 2 * (128 / 3) / (256 / 3 + 128)
    expected = 1 - (dice_1 + 0) / 2 + math.log(3)
    assert float(DiceAndCrossEntropy(3)(of_three, batch)) == pytest.approx(expected, abs=1e-4)


def test_padding_counts_for_nothing_in_the_loss():
    picture = np.zeros((1, 12, 12), np.float32)
    marks = np.ones((12, 12), np.uint8)
    batch = frame([Sample("a", 0, picture, marks)], 16)
    logits = torch.full((1, 1, 16, 16), 9.0)
    assert float(DiceAndCrossEntropy(2)(logits, batch)) < 1e-3
    assert float(pixel_loss(logits, batch)) < 1e-3


def test_a_picture_moves_with_its_mask_and_padding_stays_blank():
    torch.manual_seed(0)
    batch = frame(samples(16, size=40, classes=4), 16)
    still = Strength(contrast=0, brightness=0, noise=0, blur=0)
    moved = Variation(still)(batch)
    assert set(moved.classes.unique().tolist()) <= {0, 1, 2, 3}
    bright = moved.image[:, 0] > 2.0
    inside = bright[moved.classes > 0].float().mean()
    outside = bright[(moved.classes == 0) & moved.valid].float().mean()
    assert inside > 0.6 > 10 * outside
    assert not torch.equal(moved.image, batch.image)
    assert moved.image[:, 0][~moved.valid].abs().max() == 0
    none = Strength(0, 0, 1, 0, 0, 0, 0, 0)
    torch.testing.assert_close(Variation(none)(batch).image, batch.image, atol=1e-4, rtol=1e-3)


def test_a_recipe_of_another_package_trains_and_is_judged_as_ours_are():
    with installed(EXAMPLE):
        settings = QUICK.model_copy(update={"recipe": "plain", "steps": 20})
        learned = learn(described(settings), lesson(12, settings), None)
        assert learned.notes["recipe"] == "plain"
        assert learned.notes["steps"] == 2 * 20
        assert learned.held_back is None
    with pytest.raises(UnknownName, match="choose one of paper, robust"):
        find_recipe("plain")
