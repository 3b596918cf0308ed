"""The network, its training, its streamed scores, its Dice."""

import numpy as np
import pytest
import torch

from app.core.project_settings import TrainingSettings
from app.core.seeds import derived_seed
from worker.acquisition import query, regions, uncertainty
from worker.registry import find_recipe
from worker.segmentation import weights
from worker.segmentation.augmentation import Augmentation
from worker.segmentation.evaluating import evaluate
from worker.segmentation.frames import Sample, batches, frame, standardise
from worker.segmentation.network import active_dropout, probabilities
from worker.segmentation.networks.unet import UNet
from worker.segmentation.precision import Precision, choose_precision
from worker.segmentation.recipe import Lesson, TrainingDiverged
from worker.segmentation.scoring import ScoringSettings, pooled_features, predict, score

CPU = torch.device("cpu")
PAPER = find_recipe("paper")
FLOAT32 = Precision(bfloat16=False)
SMALL = TrainingSettings(recipe="paper", width=2, epochs=3, batch_size=4, learning_rate=0.01)


def samples(count: int, size: int = 32, classes: int = 2, seed: int = 0) -> list[Sample]:
    """Bright squares on noise, each marked; neighbours belong to one case."""
    rng = np.random.default_rng(seed)
    made = []
    for n in range(count):
        image = rng.standard_normal((size, size)).astype(np.float32)
        marks = np.zeros((size, size), dtype=np.uint8)
        y, x = rng.integers(0, size - 10, 2)
        marks[y : y + 8, x : x + 8] = 1 + n % (classes - 1)
        made.append(Sample(f"case-{n // 3}", n, (image + 3 * (marks > 0))[None], marks))
    return made


def seeded(classes: int = 2, width: int = 2) -> UNet:
    torch.manual_seed(0)
    return UNet(classes, width=width).eval()


def opinionated(classes: int) -> UNet:
    """A network with some training, whose dropout matters: its passes disagree."""
    settings = SMALL.model_copy(update={"epochs": 8})
    model = seeded(classes, width=4)
    PAPER.fit(model, Lesson(samples(12, classes=classes), settings, 0, CPU))
    return model


def test_the_default_network_has_the_papers_channels():
    model = UNet(2)
    assert [level[0].out_channels for level in model.encoder] == [32, 64, 128, 256]
    assert model.bottleneck[0].out_channels == 512


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_sum_to_one_whatever_the_head(classes):
    found = probabilities(seeded(classes)(torch.randn(2, 1, 32, 48)))
    assert found.shape == (2, classes, 32, 48)
    torch.testing.assert_close(found.sum(1), torch.ones(2, 32, 48))


def test_dropout_is_at_work_only_where_it_is_asked_for():
    model, image = seeded(), torch.randn(1, 1, 32, 32)
    features = model.prefix(image)
    assert torch.equal(model.suffix(features), model(image))
    with active_dropout(model):
        one, other = model.suffix(features), model.suffix(features)
        assert not any(m.training for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert not torch.equal(one, other)
    assert torch.equal(model(image), model(image))


def test_weights_survive_as_safetensors():
    model = seeded()
    description = weights.architecture(2, 1, SMALL)
    again = weights.restore(description, weights.dump(model.state_dict()))
    image = torch.randn(1, 1, 32, 32)
    assert torch.equal(again(image), model(image))


def test_standardising_is_by_the_moments_of_the_case():
    found = standardise(np.array([[100, 300]], dtype=np.uint16), mean=200.0, std=50.0)
    assert found.tolist() == [[-2.0, 2.0]]
    assert standardise(np.zeros((2, 2), dtype=np.uint8), 0.0, 0.0).tolist() == [[0, 0], [0, 0]]


def test_padding_is_marked_and_batches_hold_one_size():
    mixed = [
        Sample("a", n, np.ones((1, *shape), dtype=np.float32))
        for n, shape in enumerate([(35, 51), (36, 60), (20, 20), (35, 49)])
    ]
    assert [len(group) for group in batches(mixed, 8, 16)] == [2, 1, 1]
    found = frame(mixed[:2], 16)
    assert found.image.shape == (2, 1, 48, 64)
    assert found.valid.sum(dim=(1, 2)).tolist() == [35 * 51, 36 * 60]
    assert found.classes is None


def test_augmentation_moves_the_mask_with_the_picture_and_invents_no_class():
    torch.manual_seed(0)
    batch = frame(samples(16, classes=4), 16)
    moved = Augmentation()(batch)
    assert set(moved.classes.unique().tolist()) <= {0, 1, 2, 3}
    bright = moved.image[:, 0] > 2.0
    inside = bright[moved.classes > 0].float().mean()
    outside = bright[(moved.classes == 0) & moved.valid].float().mean()
    assert inside > 0.5 > 10 * outside


def test_training_learns_and_is_the_same_for_the_same_seed():
    states = []
    for _ in range(2):
        model = seeded()
        before = evaluate(model, samples(8, seed=9), 4, CPU)["loss"]
        PAPER.fit(model, Lesson(samples(12), SMALL, 7, CPU, samples(6, seed=1)))
        states.append(model.state_dict())
        assert evaluate(model, samples(8, seed=9), 4, CPU)["loss"] < before
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_training_stops_early_and_keeps_the_best_weights():
    settings = SMALL.model_copy(update={"epochs": 60, "patience": 2, "learning_rate": 0.5})
    seen = []
    model = seeded()
    lesson = Lesson(samples(8), settings, 0, CPU, samples(6, seed=1), on_progress=seen.append)
    course = PAPER.fit(model, lesson)
    assert course.notes["epochs"] == len(seen) < 60
    best = course.notes["validation_loss"]
    assert best == min(epoch["validation_loss"] for epoch in seen)
    assert evaluate(model, samples(6, seed=1), 4, CPU)["loss"] == pytest.approx(best)


def test_training_can_be_stopped_at_any_step():
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PAPER.fit(seeded(), Lesson(samples(4), SMALL, 0, CPU, on_step=stop))


def test_a_single_slice_can_be_trained_on():
    course = PAPER.fit(seeded(), Lesson(samples(1), SMALL, 0, CPU))
    assert course.notes["validation_loss"] is None


def test_a_loss_that_is_no_number_is_an_error_with_advice():
    broken = [Sample("a", 0, np.full((1, 32, 32), np.nan, dtype=np.float32), samples(1)[0].classes)]
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        PAPER.fit(seeded(), Lesson(broken, SMALL, 0, CPU))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("measure", ["entropy", "bald"])
def test_streamed_sums_equal_those_of_whole_maps(classes, measure):
    """Batches, padding and running means change nothing."""
    model, pool = opinionated(classes), samples(7, size=30, classes=classes)
    settings = ScoringSettings(
        target_threshold=0.3, boundary_width=0.2, mc_passes=4, batch_size=3, seed=5
    )
    streamed = list(score(model, pool, measure, settings, CPU, FLOAT32))
    assert all(found.total > 0.01 for one in streamed for found in one.measures)
    encoder = pooled_features(model, pool, 2, CPU, FLOAT32)
    assert np.allclose(np.stack([one.features for one in streamed]), encoder, rtol=1e-4, atol=1e-6)
    for group, start in zip(batches(pool, 3, 16), (0, 3, 6), strict=True):
        image = frame(group, 16).image
        with torch.inference_mode():
            features = model.prefix(image)
            plain = probabilities(model.suffix(features))
            passes = plain[None]
            if measure == "bald":
                torch.manual_seed(derived_seed(5, group[0].case, group[0].index))
                with active_dropout(model):
                    passes = torch.stack([probabilities(model.suffix(features)) for _ in range(4)])
        crop = (..., slice(30), slice(30))
        maps = {
            "entropy": (plain, uncertainty.entropy(plain)),
            "least-confidence": (plain, uncertainty.least_confidence(plain)),
            "margin": (plain, uncertainty.margin(plain)),
            "mc-dropout": (passes.mean(0), uncertainty.entropy(passes.mean(0))),
            "bald": (passes.mean(0), uncertainty.mutual_information(passes)),
        }
        for n in range(len(group)):
            predicted = plain[n][crop].argmax(0)
            assert streamed[start + n].foreground_pixels == int((predicted > 0).sum())
            for found in streamed[start + n].measures:
                p, u = (m[n : n + 1][crop] for m in maps[found.measure])
                target = regions.target_region(p, 0.3)
                boundary = regions.boundary_region(p, 0.2)
                assert found.total == pytest.approx(query.aggregate(u).item(), rel=1e-3)
                assert found.target == pytest.approx(
                    query.aggregate(u, target).item(), rel=1e-3, abs=1e-4
                )
                assert found.boundary == pytest.approx(
                    query.aggregate(u, boundary).item(), rel=1e-3, abs=1e-4
                )
                assert (found.pixels, found.target_pixels) == (900, int(target.sum()))
                assert found.boundary_pixels == int(boundary.sum())
                by_class = [query.aggregate(p[:, c] * u).item() for c in range(1, classes)]
                assert found.by_class == pytest.approx(by_class, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("measure", ["entropy", "bald"])
def test_a_pool_that_is_cut_between_batches_scores_as_the_whole(measure):
    model = opinionated(2)
    # Sizes change in the middle of batches.
    pool = [*samples(9), *samples(6, size=48, seed=1), *samples(8, seed=2)]
    settings = ScoringSettings(mc_passes=3, batch_size=4, seed=5)

    def scored(part):
        return list(score(model, part, measure, settings, CPU, FLOAT32))

    whole = scored(pool)
    for cut in (4, 8, 12):
        parts = [scored(pool[start : start + cut]) for start in range(0, len(pool), cut)]
        found = [one for part in parts for one in part]
        assert [one.measures for one in found] == [one.measures for one in whole]
        for one, other in zip(found, whole, strict=True):
            np.testing.assert_array_equal(one.features, other.features)


def test_scoring_holds_one_batch_at_a_time():
    taken = []

    def pool():
        for sample in samples(12):
            taken.append(sample.index)
            yield sample

    stream = predict(seeded(), pool(), "entropy", ScoringSettings(batch_size=2), CPU, FLOAT32)
    next(stream)
    assert len(taken) <= 3


def test_precision_is_taken_by_name_or_fixed_by_device_never_by_a_stopwatch(monkeypatch):
    assert str(choose_precision("bfloat16", CPU)) == "bfloat16"
    assert str(choose_precision("auto", CPU)) == "float32"
    cuda = torch.device("cuda")
    for capability, expected in (((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        assert str(choose_precision("auto", cuda)) == expected
