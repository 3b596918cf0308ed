"""Weights of encoders that were trained elsewhere, as they lie in a folder; none are downloaded."""

import hashlib
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from app.core.errors import InvalidInput

# MONAI keeps an EfficientNet's blocks in stacks, those who publish its weights do not.
_STACKED = re.compile(r"^(_blocks)\.\d+(\.\d+\.)")
_COUNTER = ".num_batches_tracked"
# Of the pictures that such encoders are trained on: only a first convolution has so many inputs.
_COLOURS = 3


def find(folder: Path | None, backbone: str) -> Path | None:
    """The file of a backbone's weights: BACKBONE.safetensors, BACKBONE.pth or BACKBONE-HASH.pth.

    Raises ``InvalidInput`` when the folder is not there or holds several of them.
    """
    if folder is None:
        return None
    if not folder.is_dir():
        raise InvalidInput(f"SFUMATO_ENCODER_WEIGHTS is {folder}, which is no folder here")
    patterns = (".safetensors", ".pth", ".pt", "-[0-9a-f]*.pth")
    found = [path for ending in patterns for path in sorted(folder.glob(backbone + ending))]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InvalidInput(f"{folder} holds several weights of {backbone}: {names}; keep one")
    return found[0] if found else None


def sha256(path: Path) -> str:
    """Of the file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fitting(path: Path, encoder: nn.Module, planes: int) -> dict[str, Tensor]:
    """A state for the encoder of the file's weights; the first convolution made to fit ``planes``.

    What the file holds beyond the encoder, such as a classifier, is left out. Raises
    ``InvalidInput``, in words.
    """
    kept = _read(path)
    state: dict[str, Tensor] = {}
    wrong = []
    for name, own in encoder.state_dict().items():
        value = kept.get(name, kept.get(_STACKED.sub(r"\1\2", name)))
        if value is not None and value.ndim == 4 and value.shape[1] == _COLOURS:
            value = _for_planes(value, planes)
        if value is None and name.endswith(_COUNTER):
            value = own
        if value is None or value.shape != own.shape:
            wrong.append(name)
        elif not bool(torch.isfinite(value).all()):
            raise InvalidInput(f"the encoder weights {path} hold values that are no numbers")
        else:
            state[name] = value
    if wrong:
        raise InvalidInput(
            f"the encoder weights {path} do not fit: {len(wrong)} of {len(state) + len(wrong)} "
            f"tensors are missing or of another shape, such as {wrong[0]}"
        )
    return state


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name. No code of the file is run."""
    try:
        found: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
        found = found.get("state_dict", found)
        return {
            name.removeprefix("module."): value
            for name, value in found.items()
            if isinstance(value, Tensor)
        }
    except Exception as error:  # the readers raise whatever they stumble on
        raise InvalidInput(
            f"the encoder weights {path} cannot be read: it is damaged, or no file of weights; "
            "put it there again, or take it away to start untrained"
        ) from error


def _for_planes(colour: Tensor, planes: int) -> Tensor:
    """A first convolution (F, 3, h, w), of colour pictures, for P planes: (F, P, h, w).

    Three planes keep it. Others get its mean over the colours, scaled so that planes that are
    alike bring what a grey picture of three equal colours brought.
    """
    if planes == _COLOURS:
        return colour
    return colour.mean(dim=1, keepdim=True).repeat(1, planes, 1, 1) * (_COLOURS / planes)
