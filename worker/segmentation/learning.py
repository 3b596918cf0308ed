"""A round's training as a whole: by its recipe, watched for collapse, judged against its parent."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from app.core.seeds import derived_seed
from worker.registry import find_recipe
from worker.segmentation import weights
from worker.segmentation.ensemble import Ensemble
from worker.segmentation.evaluating import evaluate, evaluate_each
from worker.segmentation.frames import Sample
from worker.segmentation.network import Network
from worker.segmentation.recipe import Collapsed, Course, Lesson, Recipe, narrow, seed_all

# A network that collapses is trained so often at most, then kept as it is, and noted.
TRIES = 3
# Each answer to a collapse learns more gently than the last.
_GENTLER = 1 / 3
# A model is held back for a loss of Dice per case beyond this: less is the noise of training.
_TOLERANCE = 0.01
_BATCH = 32


@dataclass(frozen=True)
class Parent:
    """The model that a training goes on from and is judged against."""

    number: int
    weights: bytes
    folds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Learned:
    """A trained network, and all that there is to say of its training.

    ``notes``: plain values for the model's record; ``folds``: for each labelled case the member
    that has not seen it; ``cross_validation``: what the members came to on these; ``judged``: the
    same figure of the parent beside it, None without a parent; ``held_back``: why the parent
    stays the current model.
    """

    network: Network
    notes: dict[str, Any]
    folds: dict[str, int]
    cross_validation: dict[str, Any] | None = None
    judged: dict[str, Any] | None = None
    held_back: str | None = None


def learn(
    description: dict[str, Any], lesson: Lesson, parent: Parent | None, from_scratch: bool = False
) -> Learned:
    """Train a network of this description on a lesson. Raises ``TrainingDiverged``.

    It goes on from the parent's weights unless ``from_scratch``. With several members each leaves
    out the cases of its own fold, so that all labelled slices can be judged by a network that has
    not seen them, and no further label is needed for it.
    """
    recipe = find_recipe(lesson.settings.recipe)
    seed_all(lesson.seed)
    known = parent.folds if parent else {}
    folds = deal(lesson.training, known, weights.completed(description)["members"])
    # A parent that left no case out has seen what its members are to be judged by now.
    warm = not from_scratch and (bool(known) or not folds)
    network = (
        weights.restore(description, parent.weights)
        if parent is not None and warm
        else weights.build(description)
    )
    parts = parts_of(network)
    collapses: list[dict[str, Any]] = []
    courses = []
    for number, part in enumerate(parts):
        seed = derived_seed(lesson.seed, "member", number) if number else lesson.seed
        training = [sample for sample in lesson.training if folds.get(sample.case) != number]
        own = replace(lesson, training=training, seed=seed)
        if len(parts) > 1:
            told = {"member": number + 1, "members": len(parts)}
            own = replace(own, on_progress=partial(_tell, lesson, told))
        courses.append(_fit(recipe, description, part, own, collapses, number))
    network.placed(lesson.device).eval()
    notes = {
        "recipe": lesson.settings.recipe,
        "members": len(parts),
        "steps": sum(course.steps for course in courses),
        "train_loss": sum(course.train_loss for course in courses) / len(courses),
        "collapses": collapses,
        **courses[0].notes,
    }
    with lesson.clock.part("validation"):
        learned = Learned(network, notes, folds, _cross_validated(network, lesson, folds))
        if parent is None or not recipe.guarded:
            return learned
        return _judged(learned, weights.restore(description, parent.weights), parent, lesson)


def _tell(lesson: Lesson, told: dict[str, Any], progress: dict[str, Any]) -> None:
    lesson.on_progress({**told, **progress})


def parts_of(network: Network) -> list[Network]:
    """The networks that are trained one by one: the members, or the network itself."""
    return network.parts() if isinstance(network, Ensemble) else [network]


def deal(training: Sequence[Sample], known: Mapping[str, int], members: int) -> dict[str, int]:
    """A fold for each labelled case: the parent's where it has one, so that no member learns from
    what it will be judged by; new cases go where there are fewest slices.

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
    rate = lesson.settings.learning_rate or recipe.learning_rate
    own = lesson
    for attempt in range(TRIES):
        if attempt:
            settings = own.settings.model_copy(update={"learning_rate": rate * _GENTLER**attempt})
            own = replace(
                lesson, settings=settings, seed=derived_seed(lesson.seed, "again", attempt)
            )
            seed_all(own.seed)
            part.load_state_dict(weights.build({**description, "members": 1}).state_dict())
        last = attempt == TRIES - 1 or not recipe.guarded
        try:
            course = recipe.fit(part, replace(own, watched=not last))
            found, step = narrow(part, lesson.training, lesson.device), course.steps
        except Collapsed as collapse:
            found, step = collapse.found, collapse.step
        if found is not None:
            collapses.append({"member": member, "step": step, **asdict(found)})
        if found is None or last:
            break
    return course


def _cross_validated(
    network: Network, lesson: Lesson, folds: Mapping[str, int], surfaces: bool = True
) -> dict[str, Any] | None:
    """What the members came to on the labelled slices that they have not learned from."""
    if not folds:
        return None
    return evaluate_each(
        [
            (part, [sample for sample in lesson.training if folds[sample.case] == number])
            for number, part in enumerate(parts_of(network))
        ],
        _BATCH,
        lesson.device,
        surfaces,
    )


def _judged(learned: Learned, theirs: Network, parent: Parent, lesson: Lesson) -> Learned:
    """Beside its parent, on slices that neither has learned from, if there are any."""
    theirs.placed(lesson.device).eval()
    if lesson.validation:
        on = "validation"
        ours, before = (
            evaluate(network, lesson.validation, _BATCH, lesson.device, surfaces=False)
            for network in (learned.network, theirs)
        )
    elif learned.cross_validation is not None and parent.folds:
        # Slices labelled since are new to all of the parent's members, whatever their fold.
        on, ours = "cross-validation", learned.cross_validation
        before = _cross_validated(theirs, lesson, learned.folds, surfaces=False) or {}
    else:
        return learned
    loss = float(before["dice_case"] - ours["dice_case"])
    judged = {
        "parent": parent.number,
        "on": on,
        "ours": ours["dice_case"],
        "theirs": before["dice_case"],
        "slices": ours["slices"],
        "cases": ours["cases"],
    }
    held_back = None
    if loss > _TOLERANCE:
        held_back = (
            f"worse than model {parent.number} by {loss:.2f} of Dice per case on "
            f"{judged['slices']} slices of {judged['cases']} cases"
        )
    return replace(learned, judged=judged, held_back=held_back)
