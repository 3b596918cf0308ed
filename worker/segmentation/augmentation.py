"""Pictures changed at random, and their masks moved with them, on the device of the batch."""

import math
from dataclasses import dataclass

import kornia.augmentation as K
import torch
from kornia.filters import gaussian_blur2d
from kornia.geometry.transform import get_affine_matrix2d, warp_affine
from torch import Tensor, nn

from worker.segmentation.frames import Batch


class Augmentation(nn.Module):
    """Blur 5 × 5, horizontal and vertical flip, rotation to ± 90°, as in the paper's code."""

    def __init__(self) -> None:
        super().__init__()
        self._pipeline = K.AugmentationSequential(
            K.RandomGaussianBlur((5, 5), (0.1, 2.0), p=0.5),
            K.RandomHorizontalFlip(p=0.5),
            K.RandomVerticalFlip(p=0.5),
            K.RandomRotation(90.0, p=0.5),
            data_keys=["input", "mask"],
        )

    @torch.no_grad()
    def forward(self, batch: Batch) -> Batch:
        """The batch, changed at random; class maps and validity move by nearest neighbour."""
        if batch.classes is None:
            raise ValueError("only labelled batches are augmented")
        # One map carries both: class + 1 where valid, 0 on the padding.
        marks = torch.where(batch.valid, batch.classes + 1, 0).unsqueeze(1).float()
        image, moved = self._pipeline(batch.image, marks)
        return _batch(image, moved[:, 0].round().long())


def _batch(image: Tensor, marks: Tensor) -> Batch:
    return Batch(image, marks > 0, (marks - 1).clamp(min=0))


@dataclass(frozen=True)
class Strength:
    """How far pictures are changed. ``rotation`` in degrees to either side, ``scale`` as a factor
    up or down, ``shift`` as a share of the side; ``contrast``, ``brightness`` and ``noise`` are
    deviations in units of the standardised picture; ``blur`` the largest sigma in pixels.
    """

    flips: float = 0.5
    rotation: float = 30.0
    scale: float = 1.2
    shift: float = 0.08
    contrast: float = 0.2
    brightness: float = 0.2
    noise: float = 0.15
    blur: float = 1.0


class Variation(nn.Module):
    """Every picture moved and its intensities changed, each by an amount of its own.

    Flips, turn, scale and shift are one matrix, so that a picture is resampled once.
    """

    def __init__(self, strength: Strength) -> None:
        super().__init__()
        self._strength = strength

    @torch.no_grad()
    def forward(self, batch: Batch) -> Batch:
        """The batch, changed at random; class maps and validity move by nearest neighbour."""
        if batch.classes is None:
            raise ValueError("only labelled batches are augmented")
        marks = torch.where(batch.valid, batch.classes + 1, 0).unsqueeze(1).float()
        size = (marks.shape[2], marks.shape[3])
        matrix = self._matrix(len(marks), size, marks.device)
        image = warp_affine(batch.image, matrix, size, align_corners=False)
        moved = warp_affine(marks, matrix, size, mode="nearest", align_corners=False)
        found = _batch(image, moved[:, 0].round().long())
        changed = self._intensities(found.image) * found.valid[:, None]
        return Batch(
            changed.contiguous(memory_format=torch.channels_last), found.valid, found.classes
        )

    def _matrix(self, count: int, size: tuple[int, int], device: torch.device) -> Tensor:
        """(N, 2, 3) from old pixels (x, y) to new ones."""
        one, (height, width) = self._strength, size
        sides = torch.tensor([width, height], dtype=torch.float32, device=device)
        center = ((sides - 1) / 2).expand(count, 2)
        either = torch.rand(count, 4, device=device) * 2 - 1
        scale = torch.exp(either[:, :1] * math.log(one.scale)).expand(count, 2)
        matrix = get_affine_matrix2d(
            either[:, 2:] * sides * one.shift, center, scale, either[:, 1] * one.rotation
        )
        flipped = torch.rand(count, 2, device=device) < one.flips
        mirror = torch.eye(3, device=device).repeat(count, 1, 1)
        for axis, side in enumerate((width, height)):
            mirror[:, axis, axis] = torch.where(flipped[:, axis], -1.0, 1.0)
            mirror[:, axis, 2] = torch.where(flipped[:, axis], side - 1.0, 0.0)
        return (matrix @ mirror)[:, :2]

    def _intensities(self, image: Tensor) -> Tensor:
        one, (count, planes) = self._strength, image.shape[:2]
        drawn = torch.randn(2, count, planes, 1, 1, device=image.device)
        changed = image * torch.exp(drawn[0] * one.contrast) + drawn[1] * one.brightness
        which = torch.rand(2, count, 1, 1, 1, device=image.device)
        deviation = torch.where(which[0] < 0.5, torch.rand_like(which[0]) * one.noise, 0.0)
        changed = changed + torch.randn_like(image) * deviation
        sigma = (torch.rand(count, 1, device=image.device) * one.blur + 0.1).expand(count, 2)
        return torch.where(which[1] < 0.25, gaussian_blur2d(changed, (5, 5), sigma), changed)
