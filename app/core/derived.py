"""What follows from the pixels of several masks, kept by their content.

Decoding and comparing large pictures takes longer than a transaction may. Whoever is about to
write computes here first (`loop/foreseen`), and within the transaction it is found. What was not
foreseen, as where another mask came in between the two, is computed there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from app.core.blob import Blob
from app.core.consensus import majority, staple
from app.core.pixels import Pixels, decode, encode
from app.core.project_settings import Consensus

# The encoded masks of some hashes.
Bodies = Callable[[set[str]], Mapping[str, bytes]]


class Question(Protocol):
    """Something that masks, by their hashes, have one answer to."""

    @property
    def masks(self) -> tuple[str, ...]:
        """The hashes of the masks that are asked."""
        ...

    def answer(self, readings: Sequence[Pixels]) -> Any:
        """From their (H, W) class indices, in the order of ``masks``."""
        ...


@dataclass(frozen=True)
class Agreement:
    """How far two masks agree: their mean Dice over the foreground classes that either holds."""

    masks: tuple[str, ...]
    classes: int

    @classmethod
    def between(cls, one: str, other: str, classes: int) -> "Agreement":
        """Whichever is named first."""
        return cls((min(one, other), max(one, other)), classes)

    def answer(self, readings: Sequence[Pixels]) -> float:
        """1 where neither holds any."""
        one, other = readings
        return mean_dice(one, other, self.classes)


@dataclass(frozen=True)
class Together:
    """What several readings of a slice say together."""

    masks: tuple[str, ...]
    how: Consensus

    @classmethod
    def of(cls, masks: Sequence[str], how: Consensus) -> "Together":
        """In whatever order they came: sums would differ in their last digit."""
        return cls(tuple(sorted(masks)), how)

    def answer(self, readings: Sequence[Pixels]) -> "Spoken":
        """``staple`` weighs each reader by how well they agree with the others; ``majority``: each
        pixel's most frequent class. Where no class wins, the pixel is background.
        """
        classes = staple(readings) if self.how == "staple" else majority(readings)
        return Spoken(Blob.of(encode(classes)), int((classes > 0).sum()))


@dataclass(frozen=True)
class Spoken:
    """A consensus: its encoded mask, and how many pixels are of a class."""

    blob: Blob
    foreground_pixels: int


class Answers:
    """Those that were found: nothing is computed twice. For one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Question, Any] = {}

    def find(self, questions: Sequence[Question], bodies: Bodies) -> list[Any]:
        """The answers, in order; ``bodies`` is asked for the masks of those that are not known.

        All of these are decoded at once: ask for one slice at a time.
        """
        unknown = [q for q in dict.fromkeys(questions) if q not in self._known]
        if unknown:
            encoded = bodies({mask for q in unknown for mask in q.masks})
            pixels = {mask: decode(body) for mask, body in encoded.items()}
            for question in unknown:
                self._known[question] = question.answer([pixels[one] for one in question.masks])
        return [self._known[q] for q in questions]


def mean_dice(one: Pixels, other: Pixels, classes: int) -> float:
    """Mean Dice of two (H, W) maps over the foreground classes that either holds; 1 if none."""
    found = []
    for index in range(1, classes):
        a, b = one == index, other == index
        total = int(a.sum()) + int(b.sum())
        if total:
            found.append(2 * int((a & b).sum()) / total)
    return float(np.mean(found)) if found else 1.0
