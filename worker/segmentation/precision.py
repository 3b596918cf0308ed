"""The device, and the precision on it: chosen by name, or fixed by kind of device.

No stopwatch decides here: what is fast is measured once, on request, by ``sfumato tune``.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from app.core.errors import InvalidInput

# Compute capability from which on CUDA devices have bfloat16 (Ampere).
_WITH_BFLOAT16 = (8, 0)


@dataclass(frozen=True)
class Precision:
    """Float32, or bfloat16 autocast."""

    bfloat16: bool

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context that a forward pass runs in."""
        if not self.bfloat16:
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)

    def __str__(self) -> str:
        return "bfloat16" if self.bfloat16 else "float32"


FLOAT32 = Precision(bfloat16=False)


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` takes CUDA where it is found. Raises ``InvalidInput``."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidInput(
            f"there is no device {name!r}: write auto, cpu, cuda or cuda:1"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidInput(
            f"the device {name!r} is not there: torch finds {torch.cuda.device_count()} CUDA "
            "devices; write auto or cpu"
        )
    return device


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision of that name.

    ``auto`` is float32 on a processor, and bfloat16 on a CUDA device that computes with it.
    """
    if name != "auto":
        return Precision(name == "bfloat16")
    return Precision(
        device.type == "cuda" and torch.cuda.get_device_capability(device) >= _WITH_BFLOAT16
    )
