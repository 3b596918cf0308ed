"""One picture of a file: where it lies, how its values are meant, what tells it from others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from app.core.rescale import Rescale
from app.formats.dicom.elements import Vector

# What tells stacks of one place apart, likeliest first; each a word for the names of cases.
KEYS = (
    "echo",
    "time",
    "acquisition",
    "type",
    "b",
    "direction",
    "phase",
    "inversion",
    "flip",
    "stack",
)
# Grey with the lowest value black, or white (MONOCHROME1); a palette's numbers; colours.
Tone = Literal["grey", "dark", "palette", "colour"]


@dataclass(frozen=True)
class Place:
    """Position (3,), orientation (6,) and spacing (2,) of a frame in LPS millimetres.

    ``spacing``: None where the header does not say it: such frames have an order, no more.
    ``thickness``: to the next slice, by the header; only a series of one image needs it.
    """

    position: Vector
    orientation: Vector
    spacing: Vector | None
    thickness: float | None

    @property
    def normal(self) -> Vector:
        """What slices are ordered along."""
        return np.cross(self.orientation[:3], self.orientation[3:])


@dataclass(frozen=True)
class Ids:
    """What a file calls itself, as far as it may be kept."""

    study: str | None
    series: str | None
    instance: str | None
    frame_of_reference: str | None
    sop_class: str | None


@dataclass(frozen=True)
class Frame:
    """One picture: where it lies, the way from its pixels to values, what tells it apart.

    ``series``: equal for the frames of one series; ``number``: from 1 in a file of several
    frames, else None; ``size``: rows, columns and samples; ``pixels_at``: the
    first byte and length of the file's pixels, or None; ``lut``: its values are looked up in
    the file; ``keys``: by ``KEYS``, then any others.
    """

    path: Path
    number: int | None
    ids: Ids
    series: tuple[str, ...]
    size: tuple[int, int, int]
    pixels_at: tuple[int, int] | None
    place: Place | None
    rescale: Rescale
    lut: bool
    tone: Tone
    instance_number: int | None
    series_number: int | None
    keys: tuple[object, ...]

    @property
    def file(self) -> str:
        """How a message names it."""
        return str(self.path) if self.number is None else f"{self.path} frame {self.number}"

    @property
    def short(self) -> str:
        """How a message names it that names its folder already."""
        return self.path.name if self.number is None else f"{self.path.name} frame {self.number}"
