"""Slices that make a training fail: found when it has failed, named, and left out of the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from worker.segmentation import weights
from worker.segmentation.evaluating import pixel_loss
from worker.segmentation.frames import Sample, frame
from worker.segmentation.memory import is_out_of_memory
from worker.segmentation.network import Network
from worker.segmentation.recipe import Lesson, TrainingDiverged

# So many are named in an error; the others are counted.
_NAMED = 5


@dataclass(frozen=True)
class Unlearnable:
    """A labelled slice that a fresh network cannot be shown, or whose loss is no number."""

    sample: Sample
    why: str

    def to_dict(self) -> dict[str, Any]:
        """For a model's record."""
        return {"case": self.sample.case, "index": self.sample.index, "why": self.why}


def unlearnable(
    description: dict[str, Any], lesson: Lesson, error: Exception
) -> Sequence[Unlearnable]:
    """The slices that a training failed for with this error; others can be learned without them.

    Raises the error itself where no slice is at fault, or where all of them fail alike and that
    may be the network's fault or the device's; ``TrainingDiverged`` where all have no number.
    """
    network = weights.build({**description, "members": 1}).placed(lesson.device).train()
    found = [
        Unlearnable(sample, why)
        for sample in lesson.training
        if (why := _why_not(network, sample, lesson.device)) is not None
    ]
    if not found:
        raise error
    if len(found) == len(lesson.training):
        if not isinstance(error, TrainingDiverged):
            raise error
        raise TrainingDiverged(
            f"none of the labelled slices can be learned from: {_listed(found)}. Label others, "
            "and delete these if their pictures are broken"
        ) from error
    return found


@torch.no_grad()
def _why_not(network: Network, sample: Sample, device: torch.device) -> str | None:
    # Twice: batch-norm cannot learn from one value a channel.
    batch = frame([sample, sample], network.multiple_of).to(device)
    try:
        loss = float(pixel_loss(network(batch.image).float(), batch))
    except (ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            return None
        return f"the network cannot be shown it: {error}"
    return None if torch.isfinite(torch.tensor(loss)) else f"its loss is {loss}"


def _listed(found: Sequence[Unlearnable]) -> str:
    named = [f"{one.sample.case}/{one.sample.index} ({one.why})" for one in found[:_NAMED]]
    more = len(found) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
