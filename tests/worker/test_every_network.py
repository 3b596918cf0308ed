"""What every network of the catalogue keeps to; a new file in ``networks/`` is tested by itself."""

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from app.core import catalogue
from app.formats.phantom import phantom_case
from worker.registry import make_network, try_network
from worker.segmentation import weights
from worker.segmentation.frames import Sample, frame, standardise
from worker.segmentation.network import Network
from worker.segmentation.precision import Precision
from worker.segmentation.scoring import ScoringSettings, pooled_features, score

CPU = torch.device("cpu")
NETWORKS = catalogue.own_names("network")


def description(name: str, **changes) -> dict:
    plain = {"classes": 2, "channels": 1, "context": 0, "width": 2, "dropout": 0.5}
    return {"name": name, **plain, **changes}


def made(name: str, seed: int = 0, **changes) -> Network:
    torch.manual_seed(seed)
    return make_network(**description(name, **changes))


def pictures(model: Network, *sides: int) -> torch.Tensor:
    """Two pictures whose sides are these multiples of the network's."""
    generator = torch.Generator().manual_seed(0)
    size = [side * model.multiple_of for side in sides]
    return torch.randn(2, model.planes, *size, generator=generator)


@pytest.fixture(scope="module")
def phantom() -> list[Sample]:
    stack, lesions = phantom_case(6, 32, np.random.default_rng([0, 0]))
    image = standardise(stack.astype(np.float32), float(stack.mean()), float(stack.std()))
    return [Sample("case", n, image[n][None], lesions[n].astype(np.uint8)) for n in range(6)]


@pytest.mark.parametrize("name", NETWORKS)
def test_it_passes_the_trial_that_decides_whether_projects_may_ask_for_it(name):
    assert issubclass(try_network(name), Network)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("settings", "sides"),
    [
        ({}, (1, 1)),
        ({"width": 3}, (1, 3)),
        ({"width": 8, "classes": 5}, (3, 2)),
        ({"width": 5, "channels": 3}, (1, 2)),
        ({"context": 2, "channels": 2, "classes": 3}, (2, 1)),
    ],
)
def test_it_takes_every_width_classes_channels_and_neighbours(name, settings, sides):
    model = made(name, **settings).placed(CPU).eval()
    image = pictures(model, *sides)
    with torch.inference_mode():
        features = model.prefix(image)
        logits = model.suffix(features)
    assert logits.shape == (2, model.logits, *image.shape[2:])
    assert model.planes == (2 * model.context + 1) * model.channels
    assert torch.isfinite(logits).all()
    # The deepest are last: no other has fewer pixels.
    assert features[-1].ndim == 4
    assert min(one[0, 0].numel() for one in features) == features[-1][0, 0].numel()


@pytest.mark.parametrize("name", NETWORKS)
def test_only_its_suffix_is_drawn_anew_in_each_pass(name):
    model = made(name, width=4).eval()
    image = pictures(model, 1, 2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.inference_mode():
        features = model.prefix(image)
        kept = [one.clone() for one in features]
        torch.manual_seed(0)
        passes = list(model.passes(features, 3))
        assert not torch.allclose(passes[0], passes[1])
        torch.manual_seed(0)
        again = list(model.passes(model.prefix(image), 3))
        torch.testing.assert_close(passes, again)
        # Outside the passes there is no chance, and nothing was changed on the way.
        torch.testing.assert_close(model(image), model.suffix(features))
    torch.testing.assert_close(list(features), kept)
    torch.testing.assert_close(model.state_dict(), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_its_gradients_reach_all_that_it_learns(name):
    model = made(name, width=4, classes=3).train()
    for size in ((1, 1), (1, 3)):
        model.zero_grad()
        model(pictures(model, *size)).square().mean().backward()
        missed = [key for key, one in model.named_parameters() if one.grad is None]
        assert not missed
        assert all(torch.isfinite(one.grad).all() for one in model.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_it_predicts_the_same_once_it_was_kept_and_restored(name):
    asked = description(name, width=4, channels=2, context=1)
    model = weights.build(asked).placed(CPU)
    image = pictures(model, 1, 2)
    model.train()(image).mean().backward()
    kept = weights.dump(model.eval().state_dict())
    restored = weights.restore(weights.described(asked, model), kept)
    with torch.inference_mode():
        assert torch.equal(restored(image), model.to(memory_format=torch.contiguous_format)(image))
    assert restored.described() == model.described()
    assert weights.completed(weights.described(asked, model)) == weights.completed(asked)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_learns_a_phantom_and_scores_its_slices(name, phantom):
    model = made(name, width=4).placed(CPU)
    batch = frame(phantom, model.multiple_of)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(12):
        model.train()
        loss = binary_cross_entropy_with_logits(model(batch.image)[:, 0], batch.classes.float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-3:]) < 0.8 * losses[0], losses
    settings, exact = ScoringSettings(mc_passes=2, batch_size=4), Precision(bfloat16=False)
    scored = list(score(model, phantom, "bald", settings, CPU, exact))
    assert [one.measures[0].pixels for one in scored] == [32 * 32] * 6
    assert any(m.total > 0 for one in scored for m in one.measures if m.measure == "bald")
    features = pooled_features(model, phantom, 3, CPU, exact)
    assert features.shape[0] == 6
    assert np.allclose(np.stack([one.features for one in scored]), features, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_pictures_smaller_than_its_sides_are_padded_and_learned_from_one_at_a_time(name):
    model = made(name, width=4).train()
    small = Sample("a", 0, np.ones((1, 5, 7), dtype=np.float32), np.ones((5, 7), dtype=np.uint8))
    # A lone slice is doubled: batch-norm cannot learn from one value a channel.
    batch = frame([small, small], model.multiple_of)
    logits = model(batch.image)
    assert logits.shape[2:] == (model.multiple_of, model.multiple_of)
    logits[:, 0][batch.valid].mean().backward()
    assert all(torch.isfinite(one.grad).all() for one in model.parameters())
