"""A data set in memory, as the benchmark goes over it: slices by number, masks beside them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.core.context import context_indices
from app.core.errors import InvalidInput, VolumeInvalid
from app.formats.layouts import LAYOUTS
from app.formats.volumes import CaseVolume
from worker.benchmark.settings import GroundSettings
from worker.segmentation.frames import Sample, standardise


@dataclass(frozen=True)
class GroundCase:
    """One case: image (D, H, W) and classes (D, H, W), its moments, and a digest of its image."""

    name: str
    image: npt.NDArray[np.generic]
    classes: npt.NDArray[np.uint8]
    first_index: int
    mean: float
    std: float
    digest: str


class Ground:
    """All slices of a data set, numbered from 0 in the order of cases and indices.

    ``case_of``: (N,) number of each slice's case; ``foreground``: (N,) its foreground pixels.
    """

    def __init__(
        self, cases: Sequence[GroundCase], classes: int, channels: Sequence[str] = ("image",)
    ) -> None:
        self.cases = list(cases)
        self.classes = classes
        self.channels = list(channels)
        self._start = np.cumsum([0, *(len(case.image) for case in cases)])
        self.case_of = np.repeat(np.arange(len(cases)), np.diff(self._start))
        self.foreground = np.concatenate([(c.classes > 0).sum(axis=(1, 2)) for c in self.cases])

    def __len__(self) -> int:
        return len(self.case_of)

    def slices_of(self, cases: Sequence[int]) -> list[int]:
        """The numbers of all slices of these cases."""
        return [n for case in cases for n in range(self._start[case], self._start[case + 1])]

    def place(self, number: int) -> tuple[str, int]:
        """Case and index of a slice, as the data set names them."""
        case = self.cases[self.case_of[number]]
        return case.name, case.first_index + int(number - self._start[self.case_of[number]])

    def way_through(self, number: int) -> float:
        """How far through its case a slice lies, from 0 at the first to 1 at the last."""
        case = self.case_of[number]
        first, past = self._start[case], self._start[case + 1]
        return float((number - first) / max(past - first - 1, 1))

    def samples(
        self, numbers: Sequence[int], labelled: bool = False, context: int = 0
    ) -> Iterator[Sample]:
        """These slices for the network, one at a time; with masks where ``labelled``.

        ``context``: how many slices before and after a sample shows too.
        """
        for number in numbers:
            case = self.cases[self.case_of[number]]
            offset = int(number - self._start[self.case_of[number]])
            shown = context_indices(offset, context, range(len(case.image)))
            yield Sample(
                case.name,
                case.first_index + offset,
                standardise(case.image[shown], case.mean, case.std),
                case.classes[offset] if labelled else None,
            )


def read_ground(path: Path, settings: GroundSettings) -> Ground:
    """Read a data set with its masks. Raises ``VolumeInvalid``, naming the file."""
    data_set = LAYOUTS[settings.layout](path, True, settings.channel)
    files = sorted(data_set.cases, key=lambda f: f.name)[: settings.cases]
    if len(files) < 3:
        raise InvalidInput(
            f"{path} has {len(files)} cases: pool, validation and test need at least 3"
        )
    cases = [_case(f.name, f.read(), settings) for f in files]
    named = 2 if settings.merge_labels else len(data_set.classes or ())
    classes = max(named, 2, 1 + max(int(case.classes.max()) for case in cases))
    return Ground(cases, classes)


def _case(name: str, volume: CaseVolume, settings: GroundSettings) -> GroundCase:
    if volume.classes is None:
        raise VolumeInvalid(f"case {name!r} has no masks: a benchmark answers from them")
    marks = (volume.classes > 0) if settings.merge_labels else volume.classes
    image = _windowed(volume, settings.window)
    if settings.shrink > 1:
        image, marks = _shrunk(image, settings.shrink), _shrunk_classes(marks, settings.shrink)
    return GroundCase(
        name=name,
        image=image,
        classes=marks.astype(np.uint8),
        first_index=int(volume.source.get("first_index", 0)),
        mean=float(image.mean(dtype=np.float64)),
        std=float(image.std(dtype=np.float64)),
        digest=hashlib.sha256(np.ascontiguousarray(volume.image).tobytes()).hexdigest(),
    )


def _windowed(volume: CaseVolume, window: tuple[float, float] | None) -> npt.NDArray[np.generic]:
    """The stored intensities, cut to a window that is given in the file's own units."""
    if window is None:
        return volume.image
    level, width = window
    slope = float(volume.source.get("slope", 1.0))
    intercept = float(volume.source.get("intercept", 0.0))
    low, high = ((edge - intercept) / slope for edge in (level - width / 2, level + width / 2))
    return volume.image.astype(np.float32).clip(low, high)


def _blocks(stack: npt.NDArray[np.generic], factor: int) -> npt.NDArray[np.generic]:
    depth, height, width = stack.shape
    height, width = height // factor, width // factor
    cut = stack[:, : height * factor, : width * factor]
    blocks = cut.reshape(depth, height, factor, width, factor).swapaxes(2, 3)
    return blocks.reshape(depth, height, width, factor * factor)


def _shrunk(image: npt.NDArray[np.generic], factor: int) -> npt.NDArray[np.float32]:
    """The mean of each block of pixels."""
    shrunk: npt.NDArray[np.float32] = _blocks(image, factor).astype(np.float32).mean(axis=-1)
    return shrunk


def _shrunk_classes(classes: npt.NDArray[np.generic], factor: int) -> npt.NDArray[np.uint8]:
    """The most frequent class of each block; of equals the lowest."""
    blocks = _blocks(classes, factor)
    counts = np.stack([(blocks == c).sum(axis=-1) for c in range(int(classes.max()) + 1)])
    shrunk: npt.NDArray[np.uint8] = counts.argmax(axis=0).astype(np.uint8)
    return shrunk
