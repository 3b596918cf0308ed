"""A network that cannot do its part is found out before a project asks for it, in words."""

import re

import pytest
import torch
from torch import nn

from app.core.errors import CannotLoad, InvalidInput
from tests.plugins import installed, write_package
from worker.registry import check_settings, make_network, report
from worker.segmentation.network import Network
from worker.segmentation.trial import fault_of


class Good(Network):
    """One convolution; what is wrong with others is one change to it."""

    def __init__(self, classes, **options):
        super().__init__(classes, **options)
        self.layer = nn.Conv2d(self.planes, self.logits, 3, padding=1)

    def prefix(self, image):
        return (image,)

    def suffix(self, features):
        return self.layer(features[-1])


class Halved(Good):
    def suffix(self, features):
        return super().suffix(features)[:, :, ::2]


class Always(Good):
    def suffix(self, features):
        return super().suffix(features).repeat(1, 2, 1, 1)


class Classes(Good):
    def suffix(self, features):
        return super().suffix(features).argmax(dim=1, keepdim=True)


class Flat(Good):
    def prefix(self, image):
        return image, image.mean(dim=(2, 3))


class Alone(Good):
    def prefix(self, image):
        return image


class Spoils(Good):
    def suffix(self, features):
        return super().suffix((features[-1].mul_(2),))


class Forgets(Good):
    def __init__(self, classes, **options):
        super().__init__(classes, **options)
        self.gain = float(torch.rand(()))

    def suffix(self, features):
        return super().suffix(features) * self.gain


class Fixed(Good):
    def suffix(self, features):
        with torch.no_grad():
            return super().suffix(features)


class Endless(Good):
    def suffix(self, features):
        return super().suffix(features) / 0


class Grey(Good):
    def __init__(self, classes, **options):
        super().__init__(classes, **options)
        self.layer = nn.Conv2d(1, self.logits, 3, padding=1)


class Eighths(Good):
    def __init__(self, classes, **options):
        super().__init__(classes, **options)
        self.norm = nn.GroupNorm(8, self.width)


class Dishonest(Good):
    """Halves four times, and says that any picture will do."""

    def suffix(self, features):
        deep = nn.functional.max_pool2d(features[-1], 16)
        return super().suffix((nn.functional.interpolate(deep, scale_factor=16),))


class Odd(Good):
    multiple_of = 0


class Wide(Good):
    accepts = {"width": range(8, 1000, 8)}  # noqa: RUF012


class Misspelt(Good):
    accepts = {"widths": range(8, 64)}  # noqa: RUF012


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Halved, r"it gives logits of \(1, 1, 5, 27\) where \(1, 1, 9, 27\) is expected"),
        (Always, "it gives logits of .* where .* is expected"),
        (Classes, "no finite numbers"),
        (Flat, r"the last of its features is \(1, 1\), where \(1, F, h, w\) is expected"),
        (Alone, "prefix gives Tensor, not a tuple"),
        (Spoils, "the same features give other logits the second time"),
        (Forgets, "predicts otherwise once it was kept and restored"),
        (Fixed, "cannot be trained"),
        (Endless, "no finite numbers"),
        (Grey, "cannot be run with classes 3, channels 2, context 1"),
        (Eighths, "cannot be built with .* width 2: .* belong in `accepts`"),
        (Dishonest, "cannot be run with"),
        (Odd, "multiple_of is 0"),
        (Wide, r"accepts\['width'\] is .*: projects ask for range\(2, 129\)"),
        (Misspelt, r"accepts\['widths'\] is .*: write a range"),
    ],
)
def test_what_is_wrong_with_a_network_is_said(network, message):
    fault = fault_of(network)
    assert fault is not None
    assert re.search(message, fault), fault


def test_a_trial_draws_nothing_from_the_generator_that_training_draws_from():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    fault_of.cache_clear()
    assert fault_of(Good) is None
    assert torch.equal(torch.rand(3), expected)


PICKY = (
    "from torch import nn\n"
    "from sfumato import Network\n"
    "class NETWORK(Network):\n"
    "    accepts = {'width': range(8, 129, 8), 'channels': range(3, 4)}\n"
    "    def __init__(self, classes, **options):\n"
    "        super().__init__(classes, **options)\n"
    "        self.layer = nn.Conv2d(self.planes, self.width, 3, padding=1)\n"
    "        self.norm = nn.GroupNorm(8, self.width)\n"
    "        self.head = nn.Conv2d(self.width, self.logits, 1)\n"
    "    def prefix(self, image): return (self.norm(self.layer(image)),)\n"
    "    def suffix(self, features): return self.head(features[-1])\n"
    "class BROKEN(NETWORK):\n"
    "    def suffix(self, features): return features[-1].no_such_thing\n"
)


@pytest.fixture
def picky(tmp_path):
    points = "[sfumato.networks]\npicky = picked:NETWORK\nbroken = picked:BROKEN\n"
    write_package(tmp_path, {"picked": PICKY}, points)
    with installed(tmp_path):
        yield


def test_what_a_network_takes_is_reported_and_holds_wherever_one_is_made(picky):
    found = {one.name: one for one in report() if one.kind == "network"}
    assert found["picky"].error is None
    assert found["picky"].limits == {"width": range(8, 129, 8), "channels": range(3, 4)}
    assert "the network 'broken' of the package broken-example cannot" in found["broken"].error
    assert "no_such_thing" in found["broken"].error
    assert not any(one.limits for name, one in found.items() if name != "picky")
    check_settings("picky", {"width": 16, "context": 2})
    words = "the network 'picky' takes 8, 16, 24 … 128 for training.width, not 12"
    with pytest.raises(InvalidInput, match=words):
        check_settings("picky", {"width": 12})
    with pytest.raises(InvalidInput, match="takes 3 for the number of channels, not 1"):
        make_network("picky", 2, channels=1, context=0, width=8, dropout=0.5)


def test_a_network_that_cannot_be_built_says_with_what(tmp_path):
    code = PICKY.replace("    accepts = {'width': range(8, 129, 8), 'channels': range(3, 4)}\n", "")
    write_package(tmp_path, {"mute": code}, "[sfumato.networks]\nmute = mute:NETWORK\n")
    with (
        installed(tmp_path),
        pytest.raises(CannotLoad, match=r"cannot be built with .*'width': 12"),
    ):
        make_network("mute", 2, channels=1, context=0, width=12, dropout=0.5)
