"""Which precision and batch the machine at hand is fast with: measured, not guessed."""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache

import torch

from worker.segmentation.network import Network
from worker.segmentation.networks.unet import UNet

# A clear win only: on a machine where both are as fast, noise must not decide, or the same
# seed would not give the same batch twice.
_CLEARLY_FASTER = 1.3


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


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` takes CUDA where it is found."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@lru_cache(maxsize=8)
def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision of that name; ``auto`` measures a small network, once a process."""
    if name != "auto":
        return Precision(name == "bfloat16")
    model = UNet(classes=2, width=16).placed(device).eval()
    image = torch.zeros(4, 1, 64, 64, device=device).to(memory_format=torch.channels_last)
    plain, half = (_seconds(model, image, Precision(b), device) for b in (False, True))
    return Precision(plain > _CLEARLY_FASTER * half)


@torch.inference_mode()
def _seconds(
    model: Network, image: torch.Tensor, precision: Precision, device: torch.device
) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        with precision.autocast(device):
            model(image)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times[1:])
