"""Memory that does not do: recognised, and said in words."""

import torch

from app.core.errors import SfumatoError

# What torch says of a processor's memory, for which it has no error of its own.
_NO_MEMORY = "DefaultCPUAllocator: can't allocate memory"
# Batch-norm needs two slices: recipes make no smaller batches.
_SMALLEST_BATCH = 2


class OutOfMemory(SfumatoError):
    """The memory does not do for the smallest batch: it would not the next time."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine had no memory left."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or _NO_MEMORY in str(error)


def explain(error: Exception, batch_size: int | None) -> None:
    """Note at an error for want of memory what to do. Raises ``OutOfMemory`` where no batch would
    be smaller.
    """
    if batch_size is not None and batch_size <= _SMALLEST_BATCH:
        raise OutOfMemory(
            f"the worker's memory does not do for batches of {batch_size} slices, the smallest: "
            "lower training.width, or start a worker on a machine with more memory"
        ) from error
    error.add_note(
        "the worker was out of memory: lower training.batch_size or training.width, or start a "
        "worker on a machine with more memory"
    )
