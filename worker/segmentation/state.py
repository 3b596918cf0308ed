"""What a network has learned as safetensors: no code runs when it is loaded."""

from safetensors.torch import load as load
from safetensors.torch import save
from torch import Tensor, contiguous_format


def dump(state: dict[str, Tensor]) -> bytes:
    """The weights as safetensors; what two names share is kept under both."""
    return save({n: value.clone(memory_format=contiguous_format) for n, value in state.items()})
