"""A round's training as a whole: by its recipe, watched for collapse, judged against its parent."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from app.core.blob import digest
from app.core.errors import InvalidInput
from app.core.model_scores import NOT_LEARNED
from app.core.seeds import derived_seed
from worker.registry import find_recipe
from worker.segmentation import weights
from worker.segmentation.checkpoint import Checkpoints
from worker.segmentation.ensemble import Ensemble
from worker.segmentation.evaluating import evaluate, evaluate_each
from worker.segmentation.frames import Sample
from worker.segmentation.journal import Journal, identity_of
from worker.segmentation.memory import explain, is_out_of_memory
from worker.segmentation.metrics.bootstrap import interval
from worker.segmentation.network import Network
from worker.segmentation.recipe import (
    Collapsed,
    Course,
    Lesson,
    Narrow,
    Recipe,
    TrainingDiverged,
    narrow,
    seed_all,
)
from worker.segmentation.unlearnable import unlearnable

# A network that collapses is trained so often at most, then kept as it is, and noted.
TRIES = 3
# Each answer to a collapse learns more gently than the last.
_GENTLER = 1 / 3
# Less loss of Dice per case than this holds no model back, however sure it is.
_TOLERANCE = 0.01
_BATCH = 32


@dataclass(frozen=True)
class Parent:
    """The model that a training goes on from, where it can, and is judged against.

    ``description``: what its network is built from; ``folds``: for each case the member that has
    not seen it; ``learned``: the cases that its networks, and those that they began from, have
    learned from.
    """

    number: int
    weights: bytes
    description: Mapping[str, Any]
    folds: Mapping[str, int] = field(default_factory=dict)
    learned: Collection[str] = frozenset()


@dataclass(frozen=True)
class Learned:
    """A trained network, and all that there is to say of its training.

    ``notes``: plain values for the model's record; ``folds`` and ``learned``: as a parent has
    them; ``warm``: whether it went on from its parent; ``cross_validation``: what the members came
    to on the labelled slices of their folds; ``judged``: the same figure of the parent beside it,
    None without a parent; ``held_back``: why the parent stays the current model.
    """

    network: Network
    notes: dict[str, Any]
    folds: dict[str, int]
    learned: list[str]
    warm: bool
    cross_validation: dict[str, Any] | None = None
    judged: dict[str, Any] | None = None
    held_back: str | None = None


def learn(
    description: dict[str, Any],
    lesson: Lesson,
    parent: Parent | None,
    from_scratch: bool = False,
    checkpoints: Checkpoints | None = None,
) -> Learned:
    """Train a network of this description on a lesson. Raises ``TrainingDiverged``.

    It goes on from the parent's weights unless ``from_scratch``, unless the parent is another
    network, and unless the parent has learned from what its successor is to be stopped or judged
    by. With several members each leaves out the cases of its own fold, so that all labelled slices
    can be judged by a network that has not seen them, and no further label is needed for it.

    With ``checkpoints`` it is kept now and then, and goes on from the last of the same training.
    Where it fails because of some of its slices, it begins again without them, and they are noted.
    """
    try:
        return _learn(description, lesson, parent, from_scratch, checkpoints)
    except (TrainingDiverged, ValueError, RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            explain(error, lesson.settings.batch_size)
            raise
        left_out = unlearnable(description, lesson, error)
    at_fault = [one.sample for one in left_out]
    rest = [sample for sample in lesson.training if not any(sample is one for one in at_fault)]
    own = replace(lesson, training=rest)
    learned = _learn(description, own, parent, from_scratch, checkpoints)
    notes = {**learned.notes, NOT_LEARNED: [one.to_dict() for one in left_out]}
    return replace(learned, notes=notes)


def _learn(
    description: dict[str, Any],
    lesson: Lesson,
    parent: Parent | None,
    from_scratch: bool,
    checkpoints: Checkpoints | None,
) -> Learned:
    recipe = find_recipe(lesson.settings.recipe)
    seed_all(lesson.seed)
    alike = parent is not None and _completed(parent.description) == _completed(description)
    known = parent.folds if parent and alike else {}
    folds = deal(lesson.training, known, weights.completed(description)["members"])
    warm = (
        parent is not None
        and alike
        and not from_scratch
        and not _has_seen(parent, folds, lesson.validation)
    )
    network = (
        weights.restore(description, parent.weights)
        if parent is not None and warm
        else weights.build(description)
    )
    if warm and not has_finite_weights(network):
        # Of an earlier version, which kept such.
        warm, network = False, weights.build(description)
    parts = parts_of(network)
    journal = Journal(parts, lesson, {}, checkpoints)
    if checkpoints is not None:
        begun = [folds, digest(parent.weights) if parent is not None and warm else None]
        journal.identity = identity_of(description, lesson, recipe, network, begun)
        journal.resume()
    for number, part in list(enumerate(parts))[len(journal.courses) :]:
        seed = derived_seed(lesson.seed, "member", number) if number else lesson.seed
        training = [sample for sample in lesson.training if folds.get(sample.case) != number]
        own = replace(lesson, training=training, seed=seed)
        if len(parts) > 1:
            told = {"member": number + 1, "members": len(parts)}
            own = replace(own, on_progress=partial(_tell, lesson, told))
        journal.finish(_fit(recipe, description, part, own, journal, number))
    courses, collapses = journal.courses, journal.collapses
    network.placed(lesson.device).eval()
    notes = {
        "recipe": lesson.settings.recipe,
        "guarded": recipe.guarded,
        "members": len(parts),
        "steps": sum(course.steps for course in courses),
        "train_loss": sum(course.train_loss for course in courses) / len(courses),
        "collapses": collapses,
        **courses[0].notes,
        **journal.notes,
    }
    before = parent.learned if parent is not None and warm else ()
    cases = sorted({*before, *(sample.case for sample in lesson.training)})
    with lesson.clock.part("validation"):
        validated = _cross_validated(network, lesson, folds)
        learned = Learned(network, notes, folds, cases, warm, validated)
        if not recipe.guarded:
            return learned
        # Of several members the others may make up for one that has collapsed.
        blind = narrow(network, lesson.training, lesson.device) if collapses else None
        if blind is not None:
            notes["collapsed"] = asdict(blind)
        if parent is None:
            return learned
        return _judged(learned, parent, lesson, blind)


def _completed(description: Mapping[str, Any]) -> dict[str, Any]:
    return weights.completed(dict(description))


def _has_seen(parent: Parent, folds: Mapping[str, int], validation: Sequence[Sample]) -> bool:
    """Whether a parent's networks know what their successors are not to have learned from."""
    seen = set(parent.learned) or set(parent.folds)
    if any(sample.case in seen for sample in validation):
        return True
    return any(case in seen and parent.folds.get(case) != fold for case, fold in folds.items())


def _tell(lesson: Lesson, told: dict[str, Any], progress: dict[str, Any]) -> None:
    lesson.on_progress({**told, **progress})


def parts_of(network: Network) -> list[Network]:
    """The networks that are trained one by one: the members, or the network itself."""
    return network.parts() if isinstance(network, Ensemble) else [network]


def deal(training: Sequence[Sample], known: Mapping[str, int], members: int) -> dict[str, int]:
    """A fold for each labelled case: the parent's where it has one, so that no member learns from
    what it will be judged by; new cases go where there are fewest slices.

    A case whose labels were withdrawn keeps its fold: they may come back. Empty where there are
    fewer cases than members: nothing can be left out then. Dealt anew where the folds that are
    known would leave a member nothing to learn from.
    """
    sizes: dict[str, int] = {}
    for sample in training:
        sizes[sample.case] = sizes.get(sample.case, 0) + 1
    if members < 2 or len(sizes) < members:
        return {}
    folds = dict(known)
    held = [
        sum(sizes[c] for c, f in folds.items() if f == n and c in sizes) for n in range(members)
    ]
    for case in sorted(sizes.keys() - folds.keys()):
        folds[case] = held.index(min(held))
        held[folds[case]] += sizes[case]
    if max(held) == len(training):
        return deal(training, {}, members)
    return folds


def _fit(
    recipe: Recipe,
    description: dict[str, Any],
    part: Network,
    lesson: Lesson,
    journal: Journal,
    member: int,
) -> Course:
    """Train a member; where it collapses, again from scratch, with another seed, more gently.

    So too where its loss is no number any more. Raises ``TrainingDiverged`` if that is the last
    of the tries.
    """
    rate = lesson.settings.learning_rate or recipe.learning_rate
    tries = TRIES if recipe.guarded else 1
    own = lesson
    for attempt in range(journal.attempt, tries):
        journal.attempt = attempt
        if attempt:
            settings = own.settings.model_copy(update={"learning_rate": rate * _GENTLER**attempt})
            own = replace(
                lesson, settings=settings, seed=derived_seed(lesson.seed, "again", attempt)
            )
            seed_all(own.seed)
            part.load_state_dict(weights.build({**description, "members": 1}).state_dict())
        last = attempt == tries - 1
        found: Narrow | None
        try:
            now = replace(
                own,
                watched=not last,
                saved=journal.take_saved(),
                on_checkpoint=journal.reached,
            )
            course = _checked(recipe, part, recipe.fit(part, now))
            found, step = narrow(part, lesson.training, lesson.device), course.steps
        except Collapsed as collapse:
            found, step = collapse.found, collapse.step
        except TrainingDiverged:
            if last:
                raise
            found, step = Narrow([], []), 0
        if found is None:
            break
        journal.collapses.append({"member": member, "step": step, **asdict(found)})
    return course


def _checked(recipe: Recipe, part: Network, course: object) -> Course:
    """What a recipe has left, if it can be kept: recipes of other packages are checked here."""
    name = type(recipe).__name__
    if not isinstance(course, Course):
        raise InvalidInput(f"the recipe {name} returned {type(course).__name__}, not a Course")
    try:
        json.dumps(course.notes)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the recipe {name} noted what is no plain value: {error}") from error
    if not has_finite_weights(part):
        raise TrainingDiverged(f"the recipe {name} left weights that are no numbers")
    return course


def has_finite_weights(network: Network) -> bool:
    """Whether all weights and statistics are numbers: nothing can be learned from others."""
    return all(bool(value.isfinite().all()) for value in network.state_dict().values())


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


def _judged(learned: Learned, parent: Parent, lesson: Lesson, blind: Narrow | None) -> Learned:
    """Beside its parent, on slices that neither has learned from, if there are any.

    It is held back where it is surely worse: by more than the tolerance, with the 95 % interval of
    the difference (bootstrap over cases) below nought. So is one that predicts a single class
    alone, unless its parent does as well.
    """
    theirs = weights.restore(dict(parent.description), parent.weights)
    if _sees(theirs) != _sees(learned.network):
        return learned
    theirs.placed(lesson.device).eval()
    held_back = None
    if blind is not None and narrow(theirs, lesson.training, lesson.device) is None:
        held_back = f"its training collapsed: {blind}"
    seen = set(parent.learned) or set(parent.folds)
    folded = {sample.case for sample in lesson.training}
    if lesson.validation and not any(sample.case in seen for sample in lesson.validation):
        on = "validation"
        ours, before = (
            evaluate(network, lesson.validation, _BATCH, lesson.device, surfaces=False)
            for network in (learned.network, theirs)
        )
    elif (
        learned.cross_validation is not None
        and len(parts_of(theirs)) == len(parts_of(learned.network))
        and all(parent.folds.get(c) == learned.folds[c] for c in folded if c in seen)
    ):
        # Slices labelled since are new to all of the parent's members, whatever their fold.
        on, ours = "cross-validation", learned.cross_validation
        before = _cross_validated(theirs, lesson, learned.folds, surfaces=False) or {}
    else:
        return replace(learned, held_back=held_back)
    judged = {
        "parent": parent.number,
        "on": on,
        "ours": ours["dice_case"],
        "theirs": before["dice_case"],
        "slices": ours["slices"],
        "cases": ours["cases"],
        "interval": gain(ours, before),
    }
    loss = float(before["dice_case"] - ours["dice_case"])
    sure = judged["interval"] is not None and judged["interval"][1] < 0
    if held_back is None and loss > _TOLERANCE and sure:
        held_back = (
            f"worse than model {parent.number} by {loss:.2f} of Dice per case on "
            f"{judged['slices']} slices of {judged['cases']} cases"
        )
    return replace(learned, judged=judged, held_back=held_back)


def _sees(network: Network) -> tuple[int, int, int]:
    """What two networks must have in common to be shown the same samples."""
    return network.classes, network.channels, network.context


def gain(ours: Mapping[str, Any], before: Mapping[str, Any]) -> list[float] | None:
    """95 % interval of how much higher Dice per case is than before, by bootstrap over cases.

    None with fewer than two cases.
    """
    pairs = [
        (one["dice"], before["by_case"][name]["dice"]) for name, one in ours["by_case"].items()
    ]
    differences = np.array([np.mean(now) - np.mean(then) for now, then in pairs])
    found = interval(differences, np.ones(len(differences)))
    return None if found is None else [round(value, 4) for value in found]
