"""Where a training stands, and its way into bytes: safetensors and JSON, no code runs in reading.

Whoever goes on from it on the same kind of machine comes to the same weights, bit for bit.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from torch import Tensor, contiguous_format, nn

_KEY = "standing"


class Checkpoints(Protocol):
    """Where a training's checkpoint is kept, whole or not at all; each replaces the one before."""

    def due(self) -> bool:
        """Whether it is time for another: the last is long enough ago."""

    def save(self, body: bytes) -> None:
        """Keep it. May raise to stop the training, as ``on_step`` may."""

    def load(self) -> bytes | None:
        """The one that was kept last, if there is one."""


@dataclass(frozen=True)
class Standing:
    """Plain values and tensors by name, of which others may be parts."""

    values: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def beside(self, **parts: "Standing") -> "Standing":
        """The same with others as parts of it."""
        values, tensors = dict(self.values), dict(self.tensors)
        for name, part in parts.items():
            values[name] = part.values
            tensors.update({f"{name}.{key}": value for key, value in part.tensors.items()})
        return Standing(values, tensors)

    def part(self, name: str) -> "Standing":
        """A part of it; empty where there is none of that name."""
        start = f"{name}."
        tensors = {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}
        return Standing(self.values.get(name, {}), tensors)


def dump(standing: Standing) -> bytes:
    """As bytes. The tensors may be on any device and in any layout."""
    tensors = {
        name: value.detach().clone(memory_format=contiguous_format)
        for name, value in standing.tensors.items()
    }
    return save(tensors, {_KEY: json.dumps(standing.values)})


def load(body: bytes) -> Standing:
    """From bytes, on the processor. Raises ``ValueError`` for others."""
    try:
        size = int.from_bytes(body[:8], "little")
        values = json.loads(json.loads(body[8 : 8 + size])["__metadata__"][_KEY])
        return Standing(values, load_tensors(body))
    except Exception as error:  # whatever the library raises for bytes that are not its own
        raise ValueError(f"this is no checkpoint: {error}") from error


@dataclass(frozen=True)
class Learner:
    """All that changes as a network learns: modules, optimiser, schedule; and the generators."""

    modules: Mapping[str, nn.Module]
    optimiser: torch.optim.Optimizer
    device: torch.device
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None

    def standing(self, **values: Any) -> Standing:
        """Where it stands, with plain values of the recipe's own."""
        schedule = {} if self.schedule is None else self.schedule.state_dict()
        modules = {name: Standing({}, module.state_dict()) for name, module in self.modules.items()}
        return Standing(values).beside(
            **modules,
            optimiser=_of_optimiser(self.optimiser),
            schedule=Standing(schedule),
            generators=generators(self.device),
        )

    def restore(self, standing: Standing) -> None:
        """Go back to where it stood; the last thing to do before the next step."""
        for name, module in self.modules.items():
            module.load_state_dict(standing.part(name).tensors)
        _restore_optimiser(self.optimiser, standing.part("optimiser"))
        if self.schedule is not None:
            self.schedule.load_state_dict(dict(standing.part("schedule").values))
        restore_generators(standing.part("generators"), self.device)


def _of_optimiser(optimiser: torch.optim.Optimizer) -> Standing:
    state = optimiser.state_dict()
    tensors = {
        f"{index}.{key}": value
        for index, entry in state["state"].items()
        for key, value in entry.items()
    }
    return Standing({"groups": state["param_groups"]}, tensors)


def _restore_optimiser(optimiser: torch.optim.Optimizer, standing: Standing) -> None:
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in standing.tensors.items():
        index, key = name.split(".", 1)
        weight = weights[int(index)]
        if value.shape == weight.shape:
            # Fused optimisers go through memory as it lies: in the layout of the weight.
            value = torch.empty_like(weight).copy_(value)
        state.setdefault(int(index), {})[key] = value
    groups = standing.values["groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def generators(device: torch.device) -> Standing:
    """The generators that training draws from, as they are now."""
    kind, key, place, has_gauss, gauss = np.random.get_state(legacy=True)
    tensors = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        tensors["cuda"] = torch.cuda.get_rng_state(device)
    values = {
        "python": random.getstate(),
        "numpy": [kind, np.asarray(key).tolist(), place, has_gauss, gauss],
    }
    return Standing(values, tensors)


def restore_generators(standing: Standing, device: torch.device) -> None:
    """Let the generators go on from where they were; on another kind of device as far as is."""
    version, state, gauss = standing.values["python"]
    random.setstate((version, tuple(state), gauss))
    kind, key, *rest = standing.values["numpy"]
    np.random.set_state((kind, np.array(key, dtype=np.uint32), *rest))
    torch.set_rng_state(standing.tensors["torch"])
    if device.type == "cuda" and "cuda" in standing.tensors:
        torch.cuda.set_rng_state(standing.tensors["cuda"], device)
