"""A data set in memory, as the benchmark goes over it: slices by number, masks beside them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.core.context import context_indices
from app.core.errors import InvalidInput, VolumeInvalid
from app.core.rescale import Moments, Rescale
from app.formats.case import CaseVolume, ChannelStack
from app.formats.layout import ReadOptions, find_layout
from worker.benchmark.settings import GroundSettings
from worker.segmentation.frames import Sample, standardise_stored


@dataclass(frozen=True)
class GroundCase:
    """One case: image (C, D, H, W) as stored and classes (D, H, W).

    ``indices``: (D,) of its slices in the case, rising: those that are labelled; ``rescale``: for
    each channel one way back to the file's values, or one a slice; ``moments``: for each channel,
    of the whole case in the file's units; ``digest``: of the stored image; ``spacing``: mm between
    slices, rows and columns of what is held, None where the files do not say.
    """

    name: str
    image: npt.NDArray[np.generic]
    classes: npt.NDArray[np.uint8]
    indices: tuple[int, ...]
    rescale: tuple[tuple[Rescale, ...], ...]
    moments: tuple[Moments, ...]
    digest: str
    spacing: tuple[float, float, float] | None = None

    def plane(self, channel: int, slice_: int) -> npt.NDArray[np.float32]:
        """One channel of a slice of the stack (H, W), standardised by the whole case."""
        ways, moments = self.rescale[channel], self.moments[channel]
        way = ways[slice_ if len(ways) > 1 else 0]
        return standardise_stored(self.image[channel, slice_], way, moments.mean, moments.std)


class Ground:
    """All slices of a data set, numbered from 0 in the order of cases and indices.

    ``channels``: their names; ``case_of``: (N,) number of each slice's case; ``foreground``: (N,)
    its foreground pixels.
    """

    def __init__(self, cases: Sequence[GroundCase], classes: int, channels: Sequence[str]) -> None:
        self.cases = list(cases)
        self.classes = classes
        self.channels = list(channels)
        self._start = np.cumsum([0, *(len(case.classes) for case in cases)])
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
        return case.name, case.indices[int(number - self._start[self.case_of[number]])]

    def way_through(self, number: int) -> float:
        """How far through its case a slice lies, from 0 at the first to 1 at the last."""
        case = self.case_of[number]
        first, past = self._start[case], self._start[case + 1]
        return float((number - first) / max(past - first - 1, 1))

    def masks(self, numbers: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        """The classes (H, W) of these slices, one at a time."""
        for number in numbers:
            case = self.case_of[number]
            yield self.cases[case].classes[int(number - self._start[case])]

    def samples(
        self, numbers: Sequence[int], labelled: bool = False, context: int = 0
    ) -> Iterator[Sample]:
        """These slices for the network, one at a time; with masks where ``labelled``.

        Images are (P, H, W): the slice and ``context`` neighbours on either side, in the order of
        the case, each with its channels side by side. P = (2 · context + 1) · C.
        """
        for number in numbers:
            case = self.cases[self.case_of[number]]
            offset = int(number - self._start[self.case_of[number]])
            places = {index: place for place, index in enumerate(case.indices)}
            around = context_indices(case.indices[offset], context, places)
            planes = [case.plane(c, places[n]) for n in around for c in range(len(self.channels))]
            yield Sample(
                case.name,
                case.indices[offset],
                np.stack(planes) if len(planes) > 1 else planes[0][np.newaxis],
                case.classes[offset] if labelled else None,
                case.spacing,
            )


def read_ground(path: Path, settings: GroundSettings) -> Ground:
    """Read a data set with its masks. Raises ``VolumeInvalid``, naming the file."""
    options = ReadOptions(masks=True, channels=settings.wanted)
    data_set = find_layout(settings.layout).read(path, options)
    files = sorted(data_set.cases, key=lambda f: f.name)[: settings.cases]
    if len(files) < 3:
        raise InvalidInput(
            f"{path} has {len(files)} cases: pool, validation and test need at least 3"
        )
    cases = [_case(f.name, f.read(), settings) for f in files]
    named = 2 if settings.merge_labels else len(data_set.classes or ())
    classes = max(named, 2, 1 + max(int(case.classes.max()) for case in cases))
    return Ground(cases, classes, data_set.channels)


def _case(name: str, volume: CaseVolume, settings: GroundSettings) -> GroundCase:
    if volume.classes is None:
        raise VolumeInvalid(f"case {name!r} has no masks: a benchmark answers from them")
    marks = (volume.classes > 0) if settings.merge_labels else volume.classes
    stacks = [_windowed(channel, settings.window) for channel in volume.channels]
    if settings.shrink > 1:
        stacks = [_shrunk(stack, settings.shrink) for stack in stacks]
        marks = _shrunk_classes(marks, settings.shrink)
    digest = hashlib.sha256()
    for channel in volume.channels:
        digest.update(np.ascontiguousarray(channel.pixels).tobytes())
    # Nobody can answer for a slice without a mask; the case is standardised with it all the same.
    moments = tuple(map(_moments, volume.channels, stacks))
    kept = [n for n in range(volume.depth) if n not in volume.unlabelled]
    if not kept:
        raise VolumeInvalid(f"case {name!r} has no slice that is labelled: leave it out")
    ways = [[channel.rescale_of(n) for n in kept] for channel in volume.channels]
    if len(kept) < volume.depth:
        stacks, marks = [stack[kept] for stack in stacks], marks[kept]
    return GroundCase(
        name=name,
        image=np.stack(stacks) if len(stacks) > 1 else stacks[0][np.newaxis],
        classes=marks.astype(np.uint8),
        indices=tuple(volume.index_of(n) for n in kept),
        rescale=tuple(tuple(way) if len(set(way)) > 1 else (way[0],) for way in ways),
        moments=moments,
        digest=digest.hexdigest(),
        spacing=_spacing(volume, settings.shrink),
    )


def _spacing(volume: CaseVolume, shrink: int) -> tuple[float, float, float] | None:
    """Between the slices, and the rows and columns that are left after shrinking."""
    if volume.geometry is None:
        return None
    found = volume.geometry.spacing
    return found.slice, shrink * found.row, shrink * found.column


def _moments(channel: ChannelStack, stack: npt.NDArray[np.generic]) -> Moments:
    """Of a whole case in the file's units; ``stack`` is what is stored, cut and shrunk."""
    if len(channel.rescale) == 1:
        return Moments.of(channel.rescale[0].values(stack))
    return Moments.together(
        [Moments.of(way.values(plane)) for way, plane in zip(channel.rescale, stack, strict=True)]
    )


def _windowed(channel: ChannelStack, window: tuple[float, float] | None) -> npt.NDArray[np.generic]:
    """What is stored, (D, H, W), cut to a window that is given in the file's own units."""
    if window is None:
        return channel.pixels
    level, width = window
    planes = []
    for n, plane in enumerate(channel.pixels):
        way = channel.rescale_of(n)
        edges = ((edge - way.base) / way.slope for edge in (level - width / 2, level + width / 2))
        low, high = sorted(edges)
        planes.append(plane.astype(np.float32).clip(low, high))
    return np.stack(planes)


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
