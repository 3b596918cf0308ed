"""Weights as safetensors: no code runs when a model is loaded."""

from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from app.core.project_settings import TrainingSettings
from worker.registry import find_network
from worker.segmentation.network import Network


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
    known = completed(description)
    return find_network(known["name"])(
        known["classes"],
        channels=known["channels"],
        context=known["context"],
        width=known["width"],
        dropout=known["dropout"],
    )


def completed(description: dict[str, Any]) -> dict[str, Any]:
    """A description with what models of earlier versions left out; to compare two of them."""
    return {"channels": 1, "context": 0, **description}


def dump(state: dict[str, Tensor]) -> bytes:
    """The weights as safetensors."""
    return save({name: value.contiguous() for name, value in state.items()})


def restore(description: dict[str, Any], weights: bytes) -> Network:
    """The network with these weights."""
    model = build(description)
    model.load_state_dict(load(weights))
    model.eval()
    return model
