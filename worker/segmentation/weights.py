"""Weights as safetensors: no code runs when a model is loaded."""

from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from app.core import catalogue
from app.core.project_settings import TrainingSettings
from worker.segmentation.network import Network

# Models of before there were channels say nothing of them.
_EARLIER = {"channels": 1, "context": 0}


def architecture(classes: int, channels: int, settings: TrainingSettings) -> dict[str, Any]:
    """What is needed to build the network again."""
    return {
        "name": settings.network,
        "classes": classes,
        "channels": channels,
        "context": settings.context,
        "width": settings.width,
        "dropout": settings.dropout,
    }


def build(description: dict[str, Any]) -> Network:
    """A network of this description, with fresh weights from torch's generator.

    Raises ``UnknownName``, ``CannotLoad``.
    """
    known = {**_EARLIER, **description}
    made: Network = catalogue.load(catalogue.find("network", known["name"]))(
        known["classes"],
        channels=known["channels"],
        context=known["context"],
        width=known["width"],
        dropout=known["dropout"],
    )
    return made


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two descriptions are of one network, so that the weights of either fit both."""
    return {**_EARLIER, **one} == {**_EARLIER, **other}


def dump(state: dict[str, Tensor]) -> bytes:
    """The weights as safetensors."""
    return save({name: value.contiguous() for name, value in state.items()})


def restore(description: dict[str, Any], weights: bytes) -> Network:
    """The network with these weights."""
    model = build(description)
    model.load_state_dict(load(weights))
    model.eval()
    return model
