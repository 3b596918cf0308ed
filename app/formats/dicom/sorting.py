"""A pile of frames sorted into stacks: by series, by how they lie, by what tells them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from app.core.errors import VolumeInvalid
from app.formats.dicom.alike import alike, why_apart
from app.formats.dicom.copies import without_copies
from app.formats.dicom.frame import KEYS, Frame
from app.formats.dicom.place import arranged, multiplicity
from app.formats.dicom.quiet import attempt

# From so many slices on, a single frame that lies otherwise is a scout beside the stack.
_STACK = 3
# So many keys together may tell stacks apart: more are tried by nobody's scanner.
_DEEP = 3
# Keys that tell stacks apart where no position does.
_WITHOUT_PLACE = 2


@dataclass(frozen=True)
class Stack:
    """Frames that are a case, in no order yet. ``parts``: what tells it from others, in words."""

    frames: tuple[Frame, ...]
    parts: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def stacks_of(frames: Sequence[Frame]) -> list[Stack]:
    """All stacks of a pile of frames, a series at a time."""
    series: dict[tuple[str, ...], list[Frame]] = {}
    for frame in frames:
        series.setdefault(frame.series, []).append(frame)
    found: list[Stack] = []
    for part in series.values():
        # What nobody has thought of stays one stack, and is judged when it is read.
        sorted_out = attempt(lambda part=part: _of_series(part))  # type: ignore[misc]
        found += sorted_out or [Stack(tuple(part))]
    return found


def _of_series(frames: Sequence[Frame]) -> list[Stack]:
    frames, left_out = without_copies(frames, _called_the_same)
    main, *others = sorted(alike(frames), key=len, reverse=True)
    if len(main) >= _STACK:
        for one in [group for group in others if len(group) == 1]:
            left_out[one[0].file] = why_apart(one[0], main)
            others.remove(one)
    stacks = []
    for group in [main, *others]:
        named = (_orientation(group[0]),) if others else ()
        parts = _told_apart(group, folders=False)
        if parts is None:
            group, copies = without_copies(group, _at_the_same_place)
            left_out |= copies
            parts = _told_apart(group) or [((), group)]
        stacks += [Stack(tuple(part), (*named, *words)) for words, part in parts]
    stacks[0] = replace(stacks[0], left_out=left_out)
    return stacks


def _called_the_same(frame: Frame) -> object:
    """What is equal for copies of one file; None where a frame has no name of its own."""
    if frame.ids.instance is None:
        return None
    place = None if frame.place is None else frame.place.position.tobytes()
    return frame.ids.instance, frame.number, frame.instance_number, place


def _at_the_same_place(frame: Frame) -> object:
    """What is equal for copies that have got names of their own."""
    if frame.place is None:
        return None
    return tuple(np.round(frame.place.position, 3).tolist()), frame.number


def _told_apart(
    frames: Sequence[Frame], first_key: int = 0, folders: bool = True, deep: int = _DEEP
) -> list[tuple[tuple[str, ...], list[Frame]]] | None:
    """A group as clean stacks, by the first keys that tell them apart; None where none do."""
    if frames[0].place is None:
        return _without_place(frames)
    if _is_stack(frames):
        return [((), list(frames))]
    most = multiplicity(frames)
    # Any two slices are evenly spaced: where no place is there twice, more have to agree.
    fewest = _STACK if most == 1 else 2
    for key, values in enumerate(_keys_of(frames, folders) if deep else ()):
        parts = _by(frames, values)
        if key < first_key or len(parts) < 2:
            continue
        found = []
        for number, part in enumerate(parts, 1):
            inner = _told_apart(part, key + 1, folders, deep - 1)
            if inner is None:
                break
            found += [((_word(key, number), *words), stack) for words, stack in inner]
        # A number that differs from image to image, as acquisitions may, tells nothing apart.
        else:
            if len(found) == most or min(len(stack) for _, stack in found) >= fewest:
                return found
    return None


def _without_place(frames: Sequence[Frame]) -> list[tuple[tuple[str, ...], list[Frame]]]:
    """Echoes and times of images that say no position, where each has as many of them."""
    for key, values in enumerate(_keys_of(frames, False)[:_WITHOUT_PLACE]):
        parts = _by(frames, values)
        if len(parts) > 1 and len({len(part) for part in parts}) == 1 < len(parts[0]):
            return [((_word(key, n),), part) for n, part in enumerate(parts, 1)]
    return [((), list(frames))]


def _is_stack(frames: Sequence[Frame]) -> bool:
    try:
        arranged(frames, "")
    except VolumeInvalid:
        return False
    return True


def _keys_of(frames: Sequence[Frame], folders: bool) -> list[list[object]]:
    """The values of each key, frame by frame: of the headers, the place, then of the folders."""
    longest = max(len(frame.keys) for frame in frames)
    found = [[_key(frame, n) for frame in frames] for n in range(longest)]
    found.append([_beside(frame) for frame in frames])
    if folders:
        found.append([str(frame.path.parent) for frame in frames])
    return found


def _key(frame: Frame, number: int) -> object:
    return frame.keys[number] if number < len(frame.keys) else ()


def _beside(frame: Frame) -> object:
    """Where a slice lies within its plane, to a tenth of a millimetre: two breasts, two knees."""
    if frame.place is None:
        return ()
    place = frame.place
    along, down = place.orientation[:3] @ place.position, place.orientation[3:] @ place.position
    return (round(float(along), 1), round(float(down), 1))


def _by(frames: Sequence[Frame], values: Sequence[object]) -> list[list[Frame]]:
    """Frames by a key's values, in the order of these."""
    parts: dict[object, list[Frame]] = {}
    for frame, value in zip(frames, values, strict=True):
        parts.setdefault(value, []).append(frame)
    return [parts[value] for value in sorted(parts, key=_sortable)]


def _sortable(value: object) -> tuple[int, tuple[float, ...], str]:
    """Of tuples of numbers and of texts, which are never compared with each other."""
    return (0, value, "") if isinstance(value, tuple) else (1, (), str(value))


def _word(key: int, number: int) -> str:
    return f"{KEYS[key] if key < len(KEYS) else 'part'}{number}"


def _orientation(frame: Frame) -> str:
    """The plane of a frame, to name a case by; of an oblique one the nearest."""
    if frame.place is None:
        return "unplaced"
    return ("sagittal", "coronal", "axial")[int(np.abs(frame.place.normal).argmax())]
