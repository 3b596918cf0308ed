"""A pretrained encoder: from a folder and nowhere else, and never claimed where there is none."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from app.core.errors import InvalidInput
from worker.registry import make_network
from worker.segmentation import pretrained, weights
from worker.segmentation.networks.flexible_unet import FlexibleUNetNetwork
from worker.segmentation.trial import fault_of

ASKED = {"name": "flexible-unet", "classes": 2, "channels": 1, "width": 2, "dropout": 0.5}
BACKBONE = "efficientnet-b0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SFUMATO_ENCODER_WEIGHTS", str(tmp_path))
    fault_of.cache_clear()
    yield tmp_path
    fault_of.cache_clear()


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """Weights as they are published: of colour pictures, blocks in one row, with a classifier."""
    torch.manual_seed(7)
    encoder = make_network(**{**ASKED, "channels": 3, "context": 0}).encoder
    state = {pretrained._STACKED.sub(r"\1\2", n): v for n, v in encoder.state_dict().items()}
    return {**state, "_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}


def features(model, image):
    with torch.inference_mode():
        return model.eval().prefix(image)


@pytest.mark.parametrize("ending", ["-355c32eb.pth", ".pth", ".safetensors"])
def test_grey_pictures_are_seen_as_the_encoder_saw_grey_ones_in_colour(folder, published, ending):
    path = folder / (BACKBONE + ending)
    save_file(published, path) if ending == ".safetensors" else torch.save(published, path)
    colour = weights.build({**ASKED, "channels": 3})
    image = torch.randn(1, 1, 32, 64)
    expected = features(colour, image.repeat(1, 3, 1, 1))
    for changes in ({}, {"context": 2}, {"channels": 2}):
        model = weights.build({**ASKED, **changes})
        found = features(model, image.repeat(1, model.planes, 1, 1))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert colour.described() == {"encoder": BACKBONE, "encoder_weights": digest}


def test_where_it_began_stays_with_the_weights(folder, published):
    path = folder / f"{BACKBONE}.safetensors"
    save_file(published, path)
    model = weights.build(ASKED)
    path.unlink()
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(5):
        averaged.update_parameters(model)
    # Another worker, which has no such file, goes on from the model and still knows.
    again = weights.restore(ASKED, weights.dump(averaged.module.state_dict()))
    assert again.described() == model.described()
    assert weights.described(ASKED, again)["encoder_weights"]


@pytest.mark.parametrize("named", [True, False])
def test_without_a_file_it_says_that_it_starts_untrained(folder, monkeypatch, named):
    if not named:
        monkeypatch.delenv("SFUMATO_ENCODER_WEIGHTS")
    model = weights.build(ASKED)
    assert model.described() == {"encoder": BACKBONE, "encoder_weights": None}
    assert model.begin().startswith(f"the encoder {BACKBONE} starts untrained: ")
    assert fault_of(FlexibleUNetNetwork) is None


def damaged(published: dict[str, torch.Tensor]) -> dict[str, tuple[object, str]]:
    other = {**published, "_blocks.3._bn1.weight": torch.zeros(5)}
    lost = {name: value for name, value in published.items() if "_blocks.3." not in name}
    nothing = {**published, "_conv_stem.weight": published["_conv_stem.weight"] * float("nan")}
    return {
        "cut": (None, "it is damaged, or no file of weights"),
        "code": ({"x": print}, "it is damaged, or no file of weights"),
        "list": ([1, 2], "it is damaged, or no file of weights"),
        "other": (other, r"do not fit: 1 of \d+ tensors .* such as _blocks"),
        "lost": (lost, r"do not fit: \d+ of \d+ tensors are missing"),
        "nothing": (nothing, "values that are no numbers"),
    }


@pytest.mark.parametrize("kind", ["cut", "code", "list", "other", "lost", "nothing"])
def test_a_damaged_file_is_an_error_in_words_when_a_worker_starts(folder, published, kind):
    content, message = damaged(published)[kind]
    path = folder / f"{BACKBONE}.pth"
    torch.save(published if content is None else content, path)
    if content is None:
        path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InvalidInput, match=message) as raised:
        weights.build(ASKED)
    assert str(path) in str(raised.value)
    assert fault_of(FlexibleUNetNetwork) == str(raised.value)


def test_two_files_or_no_folder_are_not_guessed_about(folder, published, monkeypatch):
    for ending in (".safetensors", ".pth"):
        (folder / (BACKBONE + ending)).write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"several weights of efficientnet-b0: .*; keep one"):
        weights.build(ASKED)
    monkeypatch.setenv("SFUMATO_ENCODER_WEIGHTS", str(folder / "not-there"))
    with pytest.raises(InvalidInput, match="which is no folder here"):
        weights.build(ASKED)
