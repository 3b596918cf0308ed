"""Slices on their way into the network: standardised by case, padded to a common size."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from app.core.rescale import PLAIN, Rescale

Image = npt.NDArray[np.float32]
Classes = npt.NDArray[np.uint8]


# Moments of a constant differ from it by rounding, so far at most, as a share of its value.
_ROUNDING = 1e-7
# Beyond so many standard deviations intensities are cut.
_FARTHEST = 6.0


@dataclass(frozen=True)
class Sample:
    """A slice for the network: its planes, standardised, and its classes where labelled.

    image: (P, H, W) float32, P = (2 · context + 1) · channels: the slice before first, each
    slice with its channels in order; classes: (H, W). ``index`` is its place in the case;
    ``spacing``: mm between slices, rows and columns, None where the files do not say.
    """

    case: str
    index: int
    image: Image
    classes: Classes | None = None
    spacing: tuple[float, float, float] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.image.shape[1:]
        return height, width


@dataclass(frozen=True)
class Batch:
    """Samples padded to one size.

    image: (N, P, H, W) float32; valid: bool (N, H, W), false on the padding; classes: long
    (N, H, W), 0 on the padding, or None.
    """

    image: Tensor
    valid: Tensor
    classes: Tensor | None

    def to(self, device: torch.device) -> "Batch":
        """The same on a device, pictures in the layout that convolutions like."""
        return Batch(
            self.image.to(device, memory_format=torch.channels_last),
            self.valid.to(device),
            None if self.classes is None else self.classes.to(device),
        )


def standardise(pixels: npt.NDArray[np.generic], mean: float, std: float) -> Image:
    """Intensities of mean 0 and deviation 1 over the case, cut at ± 6. A flat case gives 0."""
    return standardise_stored(pixels, PLAIN, mean, std)


def standardise_stored(
    stored: npt.NDArray[np.generic], rescale: Rescale, mean: float, std: float
) -> Image:
    """As ``standardise``, from stored integers; ``mean`` and ``std`` are of the file's values.

    stored: any shape. The way back to the file's values and the standardising are one product
    and one sum a pixel. A negative slope says that low values are shown bright (MONOCHROME1):
    the network sees what is shown.
    """
    # Also where values are so large that their moments are no numbers.
    if not (math.isfinite(std) and std > _ROUNDING * abs(mean)):
        return np.zeros(stored.shape, dtype=np.float32)
    scaled = stored.astype(np.float32)
    shown = -1 if rescale.slope < 0 else 1
    scaled *= np.float32(shown * rescale.slope / std)
    scaled += np.float32(shown * (rescale.base - mean) / std)
    return np.clip(scaled, -_FARTHEST, _FARTHEST, out=scaled)


def frame(samples: Sequence[Sample], multiple_of: int) -> Batch:
    """Pad samples to the smallest common size whose sides are multiples of ``multiple_of``."""
    sizes = [_padded(sample, multiple_of) for sample in samples]
    height, width = max(h for h, _ in sizes), max(w for _, w in sizes)
    image = torch.zeros(len(samples), len(samples[0].image), height, width)
    valid = torch.zeros(len(samples), height, width, dtype=torch.bool)
    labelled = all(s.classes is not None for s in samples)
    classes = torch.zeros(len(samples), height, width, dtype=torch.long) if labelled else None
    for n, sample in enumerate(samples):
        h, w = sample.size
        image[n, :, :h, :w] = torch.from_numpy(sample.image)
        valid[n, :h, :w] = True
        if classes is not None and sample.classes is not None:
            classes[n, :h, :w] = torch.from_numpy(sample.classes.astype(np.int64))
    return Batch(image, valid, classes)


def batches(samples: Iterable[Sample], size: int, multiple_of: int) -> Iterator[list[Sample]]:
    """Up to ``size`` neighbours at a time, all of one padded size: nothing is held but a batch.

    One size a batch, so that padding depends on the slice alone. A batch ends at every multiple
    of ``size`` in the stream too: a stream that is cut there gives the same batches as the whole.
    """
    pending: list[Sample] = []
    shape = (0, 0)
    for position, sample in enumerate(samples):
        padded = _padded(sample, multiple_of)
        if pending and (position % size == 0 or padded != shape):
            yield pending
            pending = []
        shape = padded
        pending.append(sample)
    if pending:
        yield pending


def _padded(sample: Sample, multiple_of: int) -> tuple[int, int]:
    height, width = (-(-length // multiple_of) * multiple_of for length in sample.size)
    return height, width
