"""Random blur, flips and rotation, each with p = 0.5, the mask moved with the picture."""

import kornia.augmentation as K
import torch
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
