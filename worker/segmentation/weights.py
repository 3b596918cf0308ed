"""Weights as safetensors: no code runs when a model is loaded."""

from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from app.core.project_settings import TrainingSettings
from worker.registry import find_network, find_recipe
from worker.segmentation.ensemble import Ensemble
from worker.segmentation.network import Network


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

    Raises ``UnknownName``, ``CannotLoad``.
    """
    known = completed(description)
    network = find_network(known["name"])
    members = [
        network(
            known["classes"],
            channels=known["channels"],
            context=known["context"],
            width=known["width"],
            dropout=known["dropout"],
        )
        for _ in range(known["members"])
    ]
    return members[0] if len(members) == 1 else Ensemble(members)


def completed(description: dict[str, Any]) -> dict[str, Any]:
    """A description with what models of earlier versions left out; to compare two of them."""
    return {"channels": 1, "context": 0, "members": 1, **description}


def dump(state: dict[str, Tensor]) -> bytes:
    """The weights as safetensors."""
    return save({name: value.contiguous() for name, value in state.items()})


def restore(description: dict[str, Any], weights: bytes) -> Network:
    """The network with these weights."""
    model = build(description)
    model.load_state_dict(load(weights))
    model.eval()
    return model
