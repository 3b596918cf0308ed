"""A few steps of plain gradient descent over all slices at once."""

import torch
from torch import nn, optim

from sfumato import Course, Lesson, Network, Recipe


class Plain(Recipe):
    """No schedule, no augmentation; it wants pictures of one size whose sides fit the network."""

    def fit(self, model: Network, lesson: Lesson) -> Course:
        """Train in place."""
        torch.manual_seed(lesson.seed)
        image = torch.stack([torch.from_numpy(one.image).float() for one in lesson.training])
        classes = torch.stack([torch.from_numpy(one.classes).long() for one in lesson.training])
        descent = optim.SGD(model.parameters(), lesson.settings.learning_rate or 0.1)
        model.train()
        steps = lesson.settings.steps or 10
        for _ in range(steps):
            lesson.on_step()
            logits = model(image)
            if logits.shape[1] == 1:
                loss = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], classes.float())
            else:
                loss = nn.functional.cross_entropy(logits, classes)
            descent.zero_grad()
            loss.backward()
            descent.step()
        model.eval()
        return Course(steps, float(loss), {})


RECIPE = Plain()
