"""Weights as safetensors: no code runs when a model is loaded."""

from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from app.loop.options import TrainingSettings
from worker.segmentation.unet import UNet


def architecture(classes: int, settings: TrainingSettings) -> dict[str, Any]:
    """What is needed to build the network again."""
    return {
        "name": "unet",
        "classes": classes,
        "width": settings.width,
        "dropout": settings.dropout,
    }


def build(description: dict[str, Any]) -> UNet:
    """A network of this description, with fresh weights from torch's generator."""
    return UNet(description["classes"], description["width"], description["dropout"])


def dump(state: dict[str, Tensor]) -> bytes:
    """The weights as safetensors."""
    return save({name: value.contiguous() for name, value in state.items()})


def restore(description: dict[str, Any], weights: bytes) -> UNet:
    """The network with these weights."""
    model = build(description)
    model.load_state_dict(load(weights))
    model.eval()
    return model
