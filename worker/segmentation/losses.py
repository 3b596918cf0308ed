"""Losses over the valid pixels of a batch."""

from monai.losses.dice import MaskedDiceLoss
from torch import Tensor, nn

from worker.segmentation.evaluating import pixel_loss
from worker.segmentation.frames import Batch


class DiceAndCrossEntropy(nn.Module):
    """Soft Dice over the foreground classes of a batch as a whole, plus cross-entropy.

    As nnU-Net does (Isensee et al. 2021); the Dice is of all slices of the batch together, so that
    a blank slice neither divides by zero nor counts as much as one with a target.
    """

    def __init__(self, classes: int, dice: float = 1.0, cross_entropy: float = 1.0) -> None:
        super().__init__()
        self._binary = classes == 2
        self._dice, self._cross_entropy = dice, cross_entropy
        self._soft_dice = MaskedDiceLoss(
            include_background=self._binary,
            to_onehot_y=not self._binary,
            sigmoid=self._binary,
            softmax=not self._binary,
            batch=True,
        )

    def forward(self, logits: Tensor, batch: Batch) -> Tensor:
        """The loss of logits (N, L, H, W)."""
        if batch.classes is None:
            raise ValueError("the batch has no classes to learn from")
        classes = batch.classes.unsqueeze(1)
        dice = self._soft_dice(
            logits, classes.float() if self._binary else classes, batch.valid.unsqueeze(1)
        )
        loss: Tensor = self._dice * dice + self._cross_entropy * pixel_loss(logits, batch)
        return loss
