"""A network tried before a project may ask for it: built small, taught a step, run, kept, restored.

So a network that cannot do its part is refused in words when a project is made, and not after the
first masks are drawn.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from app.core.errors import SfumatoError
from app.core.network_limits import ALL, Limits
from worker.segmentation.network import Features, Network
from worker.segmentation.state import dump, load

# Larger ones would pad every picture to many times its size.
_MOST_MULTIPLE = 512
_LEAST_SIDE = 8


class _Fault(Exception):
    """What is wrong with a network, in words."""


@cache
def fault_of(network: type[Network]) -> str | None:
    """What is wrong with a network, in words; None where nothing is. Tried once a process.

    torch's generator is left as it was.
    """
    try:
        limits = _limits(network)
        with torch.random.fork_rng(devices=[]):
            _try(network, _settings(limits, 0), wholly=True)
            _try(network, _settings(limits, 1), wholly=False)
    except _Fault as fault:
        return str(fault)
    return None


def limits_of(network: type[Network]) -> Limits:
    """What a network accepts, by setting, where that is not all."""
    return {name: network.accepts[name] for name in ALL if name in network.accepts}


def _limits(network: type[Network]) -> Limits:
    accepts, multiple = network.accepts, network.multiple_of
    for name, allowed in accepts.items():
        if name not in ALL or not isinstance(allowed, range) or not len(allowed):
            raise _Fault(f"accepts[{name!r}] is {allowed!r}: write a range, of {', '.join(ALL)}")
        if allowed[0] not in ALL[name] or allowed[-1] not in ALL[name]:
            known = ALL[name]
            raise _Fault(f"accepts[{name!r}] is {allowed!r}: projects ask for {known!r}")
    if not isinstance(multiple, int) or not 1 <= multiple <= _MOST_MULTIPLE:
        raise _Fault(f"multiple_of is {multiple!r}: write a number from 1 to {_MOST_MULTIPLE}")
    return {**ALL, **accepts}


def _settings(limits: Limits, place: int) -> dict[str, int]:
    """The least settings that a network takes, or those after them."""
    return {name: allowed[min(place, len(allowed) - 1)] for name, allowed in limits.items()}


def _try(network: type[Network], asked: dict[str, int], *, wholly: bool) -> None:
    """Do with a network all that is done with one, or only predict. Raises ``_Fault``."""
    said = ", ".join(f"{name} {number}" for name, number in asked.items())
    doing = "built"
    try:
        model = _built(network, asked)
        model.begin()
        doing = "run"
        _predict(model)
        if wholly:
            doing = "trained"
            _learn(model)
            doing = "kept and restored"
            _keep(model, _built(network, asked))
    except _Fault as fault:
        raise _Fault(f"{fault} (tried with {said})") from fault
    except SfumatoError as error:
        raise _Fault(str(error)) from error
    except Exception as error:  # a network of somebody else's may raise anything
        raise _Fault(
            f"it cannot be {doing} with {said}: {type(error).__name__}: {error} (settings that it "
            "does not take belong in `accepts`)"
        ) from error


def _built(network: type[Network], asked: dict[str, int]) -> Network:
    options = {name: number for name, number in asked.items() if name != "classes"}
    return network(asked["classes"], **options, dropout=0.5)


def _keep(model: Network, other: Network) -> None:
    logits = _predict(model)
    other.load_state_dict(load(dump(model.state_dict())))
    if not torch.allclose(logits, _predict(other), rtol=1e-4, atol=1e-5):
        raise _Fault(
            "it predicts otherwise once it was kept and restored: all that it learns must be "
            "parameters or buffers"
        )


def _picture(model: Network, count: int, times: int) -> Tensor:
    """Pictures (N, P, H, W) of the least size that is worth trying; so many times as wide."""
    side = model.multiple_of
    # An odd multiple: a network that halves more often than it says is found out.
    while side < _LEAST_SIDE:
        side += 2 * model.multiple_of
    return torch.randn(count, model.planes, side, times * side)


def _learn(model: Network) -> None:
    """One step."""
    model.train()
    image = _picture(model, 2, 1)
    logits = _checked(model, model(image), image)
    binary_cross_entropy_with_logits(logits, torch.ones_like(logits)).backward()
    if not any(one.grad is not None and one.grad.abs().sum() > 0 for one in model.parameters()):
        raise _Fault("it cannot learn: no gradient reaches its parameters")
    model.zero_grad()


@torch.inference_mode()
def _predict(model: Network) -> Tensor:
    """Logits of a picture that is wider than high; the same for every trial."""
    model.eval()
    torch.manual_seed(0)
    image = _picture(model, 1, 3)
    features = _deepest_checked(model.prefix(image))
    logits = _checked(model, model.suffix(features), image)
    if not torch.allclose(logits, model.suffix(features), rtol=1e-4, atol=1e-5):
        raise _Fault(
            "the same features give other logits the second time: suffix must neither change them "
            "nor draw anything but by dropout"
        )
    passes = [_checked(model, one, image) for one in model.passes(features, 2)]
    if not passes:
        raise _Fault("its passes give no logits")
    return logits


def _deepest_checked(features: Features) -> Features:
    if not isinstance(features, tuple | list) or not features:
        raise _Fault(f"prefix gives {type(features).__name__}, not a tuple of features")
    deepest = features[-1]
    if not isinstance(deepest, Tensor) or deepest.ndim != 4 or deepest.shape[0] != 1:
        shape = tuple(deepest.shape) if isinstance(deepest, Tensor) else type(deepest).__name__
        raise _Fault(f"the last of its features is {shape}, where (1, F, h, w) is expected")
    return features


def _checked(model: Network, logits: Tensor, image: Tensor) -> Tensor:
    expected = (image.shape[0], model.logits, *image.shape[2:])
    if not isinstance(logits, Tensor):
        raise _Fault(f"it gives {type(logits).__name__} where logits are expected")
    if tuple(logits.shape) != expected:
        raise _Fault(f"it gives logits of {tuple(logits.shape)} where {expected} is expected")
    if not logits.is_floating_point() or not bool(torch.isfinite(logits).all()):
        raise _Fault("its logits are no finite numbers")
    return logits
