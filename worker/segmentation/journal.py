"""What of a whole training is done: kept now and then, and gone on from where that fits."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worker.segmentation import checkpoint
from worker.segmentation.checkpoint import Checkpoints, Standing, generators, restore_generators
from worker.segmentation.machine import machine
from worker.segmentation.network import Network
from worker.segmentation.recipe import Course, Lesson, Recipe

Identity = dict[str, str]


@dataclass
class Journal:
    """The members that are done, and how far the one in progress is.

    ``attempt``: at the member in progress; ``saved``: where its fit stands; ``notes``: what the
    model's record says of it. With no ``place`` nothing is kept.
    """

    parts: Sequence[Network]
    lesson: Lesson
    identity: Identity
    place: Checkpoints | None
    courses: list[Course] = field(default_factory=list)
    collapses: list[dict[str, Any]] = field(default_factory=list)
    attempt: int = 0
    saved: Standing | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one of this very training."""
        body = self.place.load() if self.place is not None else None
        if body is None:
            return
        try:
            standing = checkpoint.load(body)
            theirs = standing.values["identity"]
        except (ValueError, KeyError):
            theirs = {}
        others = [name for name, value in self.identity.items() if theirs.get(name) != value]
        if others:
            self.notes["checkpoint"] = f"not gone on from: it was of other {' and '.join(others)}"
            return
        self._restore(standing)

    def _restore(self, standing: Standing) -> None:
        values, done = standing.values, standing.part("done")
        self.courses += [Course(**course) for course in values["courses"]]
        self.collapses += values["collapses"]
        self.attempt = values["attempt"]
        for number in range(len(self.courses)):
            self.parts[number].load_state_dict(done.part(str(number)).tensors)
        if values["within"]:
            self.saved = standing.part("fit")
        else:
            restore_generators(standing.part("generators"), self.lesson.device)
        member = {"member": len(self.courses) + 1, "machine": values["machine"]}
        self.notes["resumed"] = [*values["resumed"], member]

    def take_saved(self) -> Standing | None:
        """Where the member in progress stood, for the fit that goes on from there; once."""
        saved, self.saved = self.saved, None
        return saved

    def reached(self, fit: Callable[[], Standing]) -> None:
        """A recipe could be gone on with from here: kept, if it is time."""
        if self.place is not None and self.place.due():
            self._keep(self.place, fit=fit())

    def finish(self, course: Course) -> None:
        """The member in progress is done."""
        self.courses.append(course)
        self.attempt = 0
        if self.place is not None and self.place.due():
            self._keep(self.place, generators=generators(self.lesson.device))

    def _keep(self, place: Checkpoints, **now: Standing) -> None:
        with self.lesson.clock.part("checkpoints"):
            done = {
                str(number): Standing({}, part.state_dict())
                for number, part in enumerate(self.parts[: len(self.courses)])
            }
            values = {
                "identity": self.identity,
                "machine": machine(self.lesson.device, self.lesson.precision).kind,
                "attempt": self.attempt,
                "within": "fit" in now,
                "courses": [asdict(course) for course in self.courses],
                "collapses": self.collapses,
                "resumed": self.notes.get("resumed", []),
            }
            standing = Standing(values).beside(done=Standing().beside(**done), **now)
            place.save(checkpoint.dump(standing))


def identity_of(
    description: dict[str, Any], lesson: Lesson, recipe: Recipe, network: Network, begun: object
) -> Identity:
    """What a checkpoint must share with a training that goes on from it, by what people call it.

    ``begun``: plain values that decide how the network begins, beside settings and seed. Its
    weights themselves are not asked: fresh ones may differ in their last bits by machine.
    """
    settings = [lesson.settings.model_dump(mode="json"), lesson.seed, lesson.least_steps]
    return {
        "settings": _digest([json.dumps([settings, description], sort_keys=True).encode()]),
        "labels": _digest(_of_samples(lesson)),
        "beginnings": _digest([json.dumps([begun, network.described()], sort_keys=True).encode()]),
        "code": _digest(_sources(type(recipe), *(type(part) for part in network.modules()))),
    }


def _digest(pieces: Iterable[bytes | memoryview]) -> str:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def _of_samples(lesson: Lesson) -> Iterable[bytes | memoryview]:
    for samples in (lesson.training, lesson.validation):
        yield f"{len(samples)} slices".encode()
        for sample in samples:
            yield json.dumps([sample.case, sample.index, *sample.image.shape]).encode()
            yield np.ascontiguousarray(sample.image).data
            if sample.classes is not None:
                yield np.ascontiguousarray(sample.classes).data


def _sources(*kinds: type) -> list[bytes]:
    """What decides how a training goes: this package, torch, and what is another's."""
    files = {Path(found) for kind in kinds if (found := _file_of(kind)) is not None}
    own = set(Path(__file__).parent.rglob("*.py"))
    return [torch.__version__.encode(), *(path.read_bytes() for path in sorted(own | files))]


@cache
def _file_of(kind: type) -> str | None:
    try:
        return inspect.getsourcefile(kind)
    except (TypeError, OSError):
        return None
