"""What figures hang on beside code, data and seed: the processor, its instructions, threads.

The same seed gives the same weights only on machines that are alike in all of this.
"""

import os
import platform
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from app.settings import NumericLimits
from worker.segmentation.precision import Precision

# Extensions that decide what bfloat16 is worth; ATen's word for the rest does not name them.
_EXTENSIONS = {"avx512_bf16": "bf16", "amx_bf16": "amx"}


@dataclass(frozen=True)
class Machine:
    """What computed something.

    ``instructions``: what ATen uses, such as AVX2; ``extensions``: what oneDNN may use beyond;
    ``limits``: variables of the environment that hold either back; ``cores``: those that
    this process may use.
    """

    processor: str
    instructions: str
    device: str
    threads: int
    precision: str
    torch: str
    cores: int
    extensions: list[str] = field(default_factory=list)
    limits: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What machines that compute alike have in common: what a tuning is kept by."""
        if self.device != self.processor:
            return self.device
        limits = (f"{name}={value}" for name, value in self.limits.items())
        words = [self.instructions, *self.extensions, *limits, f"{self.cores} cores"]
        return f"{self.processor} ({' '.join(words)})"

    @property
    def instruction_set(self) -> str:
        """ATen's instruction set, and oneDNN's limit where one is set."""
        limit = self.limits.get("ONEDNN_MAX_CPU_ISA")
        return self.instructions if limit is None else f"{self.instructions} (oneDNN {limit})"

    def to_dict(self) -> dict[str, Any]:
        """For a record: all of it."""
        return {**asdict(self), "kind": self.kind}

    def __str__(self) -> str:
        where = "" if self.device == self.processor else f"{self.device}/"
        return (
            f"{where}{self.instruction_set}/{self.threads} threads/{self.precision}/"
            f"torch {self.torch}"
        )


def machine(device: torch.device, precision: Precision) -> Machine:
    """The machine of this process, as it computes now."""
    processor, extensions = _processor()
    found = torch.cuda.get_device_name(device) if device.type == "cuda" else processor
    return Machine(
        processor=processor,
        instructions=torch.backends.cpu.get_cpu_capability(),
        device=found if device.type in ("cpu", "cuda") else device.type,
        threads=torch.get_num_threads(),
        precision=str(precision),
        torch=torch.__version__,
        cores=usable_cores(),
        extensions=extensions,
        limits=NumericLimits().given(),
    )


def usable_cores() -> int:
    """Cores that this process may use; of a container, those that it was given."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def fix_threads(threads: int) -> None:
    """Compute with so many threads, whatever the machine offers: sums are cut by them."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    # Else CUDA's libraries choose among algorithms by a stopwatch, or by what is fast and random.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


@lru_cache(maxsize=1)
def _processor() -> tuple[str, list[str]]:
    """Its name and the extensions that matter, as Linux tells; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine(), []
    told = {
        name.strip(): value.strip()
        for name, _, value in (x.partition(":") for x in reversed(lines))
    }
    flags = set(told.get("flags", "").split())
    name = told.get("model name") or platform.processor() or platform.machine()
    return name, [word for flag, word in _EXTENSIONS.items() if flag in flags]
