"""Any network, any number of planes, any measure: what training and scoring promise to each."""

import numpy as np
import pytest
import torch
from torch import nn

from app.core.errors import InvalidInput
from app.core.project_settings import TrainingSettings
from app.core.rescale import Moments, Rescale
from tests.plugins import EXAMPLE, installed, write_package
from worker.registry import find_recipe, own_measures
from worker.segmentation import weights
from worker.segmentation.evaluating import evaluate
from worker.segmentation.frames import Sample, batches, frame, standardise_stored
from worker.segmentation.network import Network
from worker.segmentation.networks.unet import UNet
from worker.segmentation.precision import Precision
from worker.segmentation.recipe import Lesson
from worker.segmentation.scoring import ScoringSettings, pooled_features, predict, score

CPU = torch.device("cpu")
FLOAT32 = Precision(bfloat16=False)
QUICK = TrainingSettings(width=2, epochs=2, batch_size=4, learning_rate=0.01)


class Whole(Network):
    """No halves, no dropout, and sides that are multiples of 6."""

    multiple_of = 6

    def __init__(self, classes: int, **options) -> None:
        super().__init__(classes, **options)
        self.layer = nn.Conv2d(self.planes, self.logits, 3, padding=1)

    def prefix(self, image):
        return (image,)

    def suffix(self, features):
        height, width = features[-1].shape[2:]
        assert height % 6 == width % 6 == 0
        return self.layer(features[-1])


def samples(count: int, planes: int = 1, classes: int = 2) -> list[Sample]:
    rng = np.random.default_rng(0)
    made = []
    for n in range(count):
        marks = np.zeros((20, 27), dtype=np.uint8)
        marks[4:12, 5:15] = 1 + n % (classes - 1)
        image = rng.standard_normal((planes, 20, 27)).astype(np.float32) + 2 * (marks > 0)
        made.append(Sample(f"case-{n // 3}", n, image.astype(np.float32), marks))
    return made


@pytest.mark.parametrize("network", [UNet, Whole])
@pytest.mark.parametrize(("channels", "context", "classes"), [(1, 0, 2), (2, 1, 3)])
def test_every_network_trains_scores_and_compares_slices(network, channels, context, classes):
    torch.manual_seed(0)
    model = network(classes, channels=channels, context=context, width=2, dropout=0.5)
    planes = (2 * context + 1) * channels
    labelled = samples(6, planes, classes)
    course = find_recipe("paper").fit(model, Lesson(labelled, QUICK, 0, CPU, labelled[:3]))
    assert course.notes["epochs"] == 2
    assert evaluate(model, labelled, 4, CPU)["slices"] == 6
    settings = ScoringSettings(mc_passes=3, batch_size=4)
    scored = list(score(model, labelled, "bald", settings, CPU, FLOAT32))
    assert [one.measures[0].pixels for one in scored] == [20 * 27] * 6
    features = pooled_features(model, labelled, 2, CPU, FLOAT32)
    assert features.shape == (6, 32 if network is UNet else planes)
    assert np.allclose(np.stack([one.features for one in scored]), features, rtol=1e-4, atol=1e-5)
    if network is Whole:
        # Passes that agree hold no mutual information.
        bald = [m.total for one in scored for m in one.measures if m.measure == "bald"]
        assert np.allclose(bald, 0, atol=1e-2)


def test_planes_keep_their_order_and_padding_is_the_network_s():
    one = Sample("a", 0, np.stack([np.full((5, 7), n, dtype=np.float32) for n in range(6)]))
    batch = frame([one], Whole.multiple_of)
    assert batch.image.shape == (1, 6, 6, 12)
    assert batch.image[0, :, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert [len(group) for group in batches([one] * 5, 2, 1)] == [2, 2, 1]


def test_a_model_of_before_there_were_channels_is_built_as_it_was():
    old = {"name": "unet", "classes": 3, "width": 2, "dropout": 0.5}
    new = weights.architecture(3, 1, QUICK.model_copy(update={"members": 1}))
    assert weights.completed(old) == weights.completed(new)
    model = weights.restore(old, weights.dump(UNet(3, width=2).state_dict()))
    assert (model.planes, model.logits) == (1, 3)


@pytest.mark.parametrize(
    "rescale",
    [Rescale(), Rescale(-1024, 1.0, 0.0, "HU"), Rescale(0, 0.5, -300.0), Rescale(-32768, 1e-9, 0)],
)
def test_standardising_works_on_the_values_of_the_file(rescale):
    stored = np.random.default_rng(0).integers(0, 65536, (40, 30)).astype(np.uint16)
    values = rescale.values(stored)
    moments = Moments.of(values)
    expected = ((values - values.mean()) / values.std()).clip(-6, 6)
    found = standardise_stored(stored, rescale, moments.mean, moments.std)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-4)


def test_the_network_sees_low_values_bright_where_the_file_shows_them_so():
    stored = np.random.default_rng(0).integers(0, 4096, (40, 30)).astype(np.uint16)
    dark, plain = Rescale(-4095, -1.0, 0.0), Rescale(0, 1.0, 0.0)
    moments, other = (Moments.of(way.values(stored)) for way in (dark, plain))
    found = standardise_stored(stored, dark, moments.mean, moments.std)
    expected = standardise_stored(stored, plain, other.mean, other.std)
    assert np.allclose(found, expected, atol=1e-4)


def test_a_flat_case_is_zero_though_its_moments_are_rounded():
    stored = np.full((300, 300), 31_416, dtype=np.uint16)
    rescale = Rescale(0, 0.1, -1000.3)
    moments = Moments.of(rescale.values(stored))
    assert not standardise_stored(stored, rescale, moments.mean, moments.std).any()


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_no_measure_exceeds_what_its_map_is_shaded_by(classes):
    torch.manual_seed(0)
    maps = [torch.full((1, classes, 4, 4), 1 / classes), torch.randn(3, classes, 8, 8).softmax(1)]
    for name, measure in own_measures().items():
        for probability in maps:
            extra = (torch.zeros(probability[:, 0].shape),) if measure.stochastic else ()
            found = measure.of(probability, *extra)
            assert found.min() >= 0, name
            assert found.max() <= measure.highest(classes) + 1e-5, name


def test_one_pass_serves_our_measures_and_the_one_that_is_asked_for():
    model, pool = UNet(2, width=2).eval(), samples(3)
    with installed(EXAMPLE):
        one = next(score(model, pool, "tsallis", ScoringSettings(), CPU, FLOAT32))
        maps = next(predict(model, pool, "tsallis", ScoringSettings(), CPU, FLOAT32))
    named = {m.measure: m for m in one.measures}
    assert set(named) == {"entropy", "least-confidence", "margin", "tsallis"}
    by_hand = (1 - maps.probability.square().sum(1))[0, :20, :27]
    assert named["tsallis"].total == pytest.approx(float(by_hand.sum()), rel=1e-4)
    passes = next(score(model, pool, "bald", ScoringSettings(mc_passes=2), CPU, FLOAT32))
    assert {m.measure for m in passes.measures} == set(own_measures())


def test_a_measure_that_gives_nonsense_is_named(tmp_path):
    lines = {
        "below": "-p[:, 0]",
        "nothing": "p[:, 0] * float('nan')",
        "flat": "p.mean(dim=(1, 2, 3))",
        "text": "'high'",
        "dust": "p[:, 0] * 0 - 1e-7",
    }
    write_package(
        tmp_path,
        {
            "bad": "from sfumato import Measure\n"
            + "".join(
                f"{n} = Measure(of=lambda p: {text}, highest=float)\n" for n, text in lines.items()
            )
        },
        "[sfumato.measures]\n" + "".join(f"{n} = bad:{n}\n" for n in lines),
    )
    model = UNet(2, width=2).eval()
    with installed(tmp_path):
        for name, message in (
            ("below", "negative values"),
            ("nothing", "no numbers"),
            ("flat", r"gave \(3,\) where a map of shape \(3, 32, 32\)"),
            ("text", "gave str where"),
        ):
            with pytest.raises(InvalidInput, match=f"the measure '{name}' .*{message}"):
                next(score(model, samples(3), name, ScoringSettings(), CPU, FLOAT32))
        # Rounding below zero is no fault; nothing negative is summed.
        one = next(score(model, samples(3), "dust", ScoringSettings(), CPU, FLOAT32))
        assert one.measures[-1].total == 0


def test_a_network_that_predicts_no_numbers_is_told_from_a_bad_measure():
    model = Whole(2)
    with torch.no_grad():
        model.layer.bias.fill_(float("nan"))
    with pytest.raises(InvalidInput, match="train it again"):
        next(score(model.eval(), samples(1), "entropy", ScoringSettings(), CPU, FLOAT32))
