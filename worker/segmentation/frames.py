"""Pictures on their way into the network: standardised by case, padded to a common frame."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.segmentation.networks.unet import UNet

Image = npt.NDArray[np.float32]
Classes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """A slice for the network: image (H, W) standardised, classes (H, W) where labelled."""

    case: str
    index: int
    image: Image
    classes: Classes | None = None


@dataclass(frozen=True)
class Frame:
    """A batch of padded pictures.

    image: (N, 1, H, W) float32; valid: bool (N, H, W), false on the padding; classes: long
    (N, H, W), 0 on the padding, or None.
    """

    image: Tensor
    valid: Tensor
    classes: Tensor | None

    def to(self, device: torch.device) -> "Frame":
        """The same on a device, pictures in the layout that convolutions like."""
        return Frame(
            self.image.to(device, memory_format=torch.channels_last),
            self.valid.to(device),
            None if self.classes is None else self.classes.to(device),
        )


def standardise(pixels: npt.NDArray[np.generic], mean: float, std: float) -> Image:
    """Intensities of mean 0 and deviation 1 over the case, cut at ± 6. A flat case gives 0."""
    scaled = (pixels.astype(np.float32) - mean) / max(std, 1e-6)
    standardised: Image = scaled.clip(-6, 6)
    return standardised


def frame(samples: Sequence[Sample]) -> Frame:
    """Pad samples to the smallest common size that the network takes."""
    height = _padded(max(s.image.shape[0] for s in samples))
    width = _padded(max(s.image.shape[1] for s in samples))
    image = torch.zeros(len(samples), 1, height, width)
    valid = torch.zeros(len(samples), height, width, dtype=torch.bool)
    labelled = all(s.classes is not None for s in samples)
    classes = torch.zeros(len(samples), height, width, dtype=torch.long) if labelled else None
    for n, sample in enumerate(samples):
        h, w = sample.image.shape
        image[n, 0, :h, :w] = torch.from_numpy(sample.image)
        valid[n, :h, :w] = True
        if classes is not None and sample.classes is not None:
            classes[n, :h, :w] = torch.from_numpy(sample.classes.astype(np.int64))
    return Frame(image, valid, classes)


def batches(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    """Up to ``size`` neighbours at a time, all of one padded size: nothing is held but a batch.

    One size a batch, so that padding depends on the slice alone and a slice's score does not
    depend on its neighbours.
    """
    pending: list[Sample] = []
    for sample in samples:
        if pending and (len(pending) == size or _shape(pending[0]) != _shape(sample)):
            yield pending
            pending = []
        pending.append(sample)
    if pending:
        yield pending


def _padded(length: int) -> int:
    return -(-length // UNet.multiple_of) * UNet.multiple_of


def _shape(sample: Sample) -> tuple[int, int]:
    return _padded(sample.image.shape[0]), _padded(sample.image.shape[1])
