"""Weights as safetensors: no code runs when a model is loaded."""

from typing import Any

import structlog

from app.core.project_settings import TrainingSettings
from worker.registry import find_recipe, make_network
from worker.segmentation.ensemble import Ensemble
from worker.segmentation.network import Network
from worker.segmentation.state import dump as dump
from worker.segmentation.state import load

_log = structlog.get_logger("sfumato.worker")
_SETTINGS = ("name", "classes", "channels", "context", "width", "dropout", "members")


def architecture(classes: int, channels: int, settings: TrainingSettings) -> dict[str, Any]:
    """What is needed to build the network again. Raises ``UnknownName``, ``CannotLoad``."""
    members = settings.members or find_recipe(settings.recipe).members
    return {
        "name": settings.network,
        "classes": classes,
        "channels": channels,
        "context": settings.context,
        "width": settings.width,
        "dropout": settings.dropout,
        "members": members,
    }


def build(description: dict[str, Any]) -> Network:
    """A network of this description, with fresh weights from torch's generator.

    Fresh but for what the network brings pretrained. Raises ``UnknownName``, ``CannotLoad``,
    ``InvalidInput``.
    """
    network = _made(description)
    began = network.begin()
    if began is not None:
        _log.info(began, network=description["name"])
    return network


def _made(description: dict[str, Any]) -> Network:
    known = completed(description)
    count = known.pop("members")
    members = [make_network(**known) for _ in range(count)]
    return members[0] if count == 1 else Ensemble(members)


def described(description: dict[str, Any], network: Network) -> dict[str, Any]:
    """A description with what the network says of itself, such as pretrained weights: to keep."""
    return {**description, **network.described()}


def completed(description: dict[str, Any]) -> dict[str, Any]:
    """A description with what models of earlier versions left out; to compare two of them.

    What the network says of itself is not in it: it is the same network wherever it began.
    """
    known = {"channels": 1, "context": 0, "members": 1, **description}
    return {name: known[name] for name in _SETTINGS}


def restore(description: dict[str, Any], weights: bytes) -> Network:
    """The network with these weights."""
    model = _made(description)
    model.load_state_dict(load(weights))
    model.eval()
    return model
