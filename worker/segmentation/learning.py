"""A round's training as a whole: by its recipe, watched for collapse, judged against its parent."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from app.core.seeds import derived_seed
from worker.registry import find_recipe
from worker.segmentation import weights
from worker.segmentation.ensemble import Ensemble
from worker.segmentation.evaluating import evaluate, predicted_classes
from worker.segmentation.frames import Sample, batches, frame
from worker.segmentation.network import Network, probabilities
from worker.segmentation.recipe import Course, Lesson, Recipe
from worker.segmentation.training import seed_everything

# A network that predicts nothing is trained anew so often, then kept as it is, and noted.
_TRIES = 3
# Each answer to a collapse learns more gently than the last.
_GENTLER = 1 / 3
# Labelled slices that a collapse is looked for on.
_LOOKED_AT = 64
_BATCH = 32


@dataclass(frozen=True)
class Parent:
    """The model that a training goes on from and is judged against."""

    number: int
    weights: bytes
    folds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Learned:
    """A trained network and all that there is to say of its training, in plain values.

    ``folds``: for each case the member that has not seen it; ``judged``: what it and its parent
    came to on slices that neither had learned from, None where there are none.
    """

    network: Network
    notes: dict[str, Any]
    folds: dict[str, int]
    judged: dict[str, Any] | None = None


def learn(description: dict[str, Any], lesson: Lesson, parent: Parent | None) -> Learned:
    """Train a network of this description on a lesson. Raises ``TrainingDiverged``.

    With several members each leaves out the cases of its own fold, so that all labelled slices can
    be judged by a network that has not seen them, at no further label.
    """
    recipe = find_recipe(lesson.settings.recipe)
    seed_everything(lesson.seed)
    network = weights.build(description)
    if parent is not None:
        network = weights.restore(description, parent.weights)
    parts = network.parts() if isinstance(network, Ensemble) else [network]
    folds = deal(lesson.training, parent.folds if parent else {}, len(parts))
    collapses: list[dict[str, Any]] = []
    courses = []
    for number, part in enumerate(parts):
        seed = derived_seed(lesson.seed, "member", number) if number else lesson.seed
        training = [s for s in lesson.training if folds.get(s.case) != number]
        own = replace(lesson, training=training, seed=seed, warm=parent is not None)
        courses.append(_fit(recipe, description, part, own, collapses, number))
    network.placed(lesson.device).eval()
    notes = {
        "recipe": lesson.settings.recipe,
        "steps": sum(course.steps for course in courses),
        "train_loss": sum(course.train_loss for course in courses) / len(courses),
        "collapses": collapses,
        **courses[0].notes,
    }
    return Learned(network, notes, folds)


def deal(training: Sequence[Sample], known: Mapping[str, int], members: int) -> dict[str, int]:
    """A fold for each labelled case: that of the parent where it has one, so that no member
    learns from what it will be judged by; new cases go where there are fewest slices.

    Empty where there are fewer cases than members: nothing can be left out then.
    """
    sizes: dict[str, int] = {}
    for sample in training:
        sizes[sample.case] = sizes.get(sample.case, 0) + 1
    if members < 2 or len(sizes) < members:
        return {}
    folds = {case: known[case] for case in sizes if case in known}
    held = [sum(sizes[c] for c, f in folds.items() if f == n) for n in range(members)]
    for case in sorted(sizes.keys() - folds.keys()):
        folds[case] = held.index(min(held))
        held[folds[case]] += sizes[case]
    return folds


def _fit(
    recipe: Recipe,
    description: dict[str, Any],
    part: Network,
    lesson: Lesson,
    collapses: list[dict[str, Any]],
    member: int,
) -> Course:
    """Train a member; where it collapses, again from scratch, with another seed, more gently."""
    course = recipe.fit(part, lesson)
    for attempt in range(1, _TRIES):
        found = collapsed(part, lesson)
        if found is None:
            return course
        collapses.append({"member": member, "attempt": attempt, **found})
        seed = derived_seed(lesson.seed, "again", attempt)
        seed_everything(seed)
        part.load_state_dict(weights.build({**description, "members": 1}).state_dict())
        rate = (lesson.settings.learning_rate or recipe.learning_rate) * _GENTLER**attempt
        settings = lesson.settings.model_copy(update={"learning_rate": rate})
        course = recipe.fit(part, replace(lesson, seed=seed, settings=settings, warm=False))
    return course


@torch.inference_mode()
def collapsed(network: Network, lesson: Lesson) -> dict[str, Any] | None:
    """What a network predicts where that is a single class and its labels hold others."""
    holding = [s for s in lesson.training if s.classes is not None and s.classes.any()]
    if not holding:
        return None
    labelled, predicted = set(), set()
    network.eval()
    for group in batches(holding[:_LOOKED_AT], _BATCH, network.multiple_of):
        batch = frame(group, network.multiple_of).to(lesson.device)
        found = predicted_classes(probabilities(network(batch.image)))[batch.valid]
        predicted |= set(found.unique().tolist())
        if batch.classes is not None:
            labelled |= set(batch.classes[batch.valid].unique().tolist())
    if len(predicted) > 1 or not labelled - predicted:
        return None
    return {"predicted": sorted(predicted), "labelled": sorted(labelled)}
