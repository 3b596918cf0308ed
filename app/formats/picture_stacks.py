"""Pictures of one case as a stack of slices, with their masks."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from app.core.errors import VolumeInvalid
from app.core.pixels import Pixels
from app.formats.case import CaseVolume, ChannelStack
from app.formats.channels import COLOURS, Choice
from app.formats.label_maps import LabelMap, as_classes
from app.formats.pictures import read_marks, read_picture
from app.formats.stored import loss_of, to_stored
from app.formats.tiff_stacks import TIFF, pages_of, read_tiff_stack

_ONE = Choice(("image",), (0,), 1)


def stack_of(paths: Sequence[Path], choice: Choice) -> tuple[ChannelStack, ...]:
    """The channels of pictures, (D, H, W) each. Raises ``VolumeInvalid``, naming the file."""
    image = same_size(paths, [read_picture(path, choice) for path in paths])
    return tuple(ChannelStack(image[..., n].copy()) for n in range(image.shape[-1]))


def same_size(paths: Sequence[Path], pictures: Sequence[Pixels]) -> Pixels:
    """Pictures on each other. Raises ``VolumeInvalid``, naming the first of another size."""
    first = pictures[0]
    for path, picture in zip(paths, pictures, strict=True):
        if picture.shape[:2] != first.shape[:2]:
            raise VolumeInvalid(
                f"{path} has {_size(picture)} pixels, {paths[0]} of the same case has "
                f"{_size(first)}: bring them to one size, or make them cases of their own"
            )
    return np.stack(pictures)  # type: ignore[return-value]  # NumPy forgets the type of a union


def masks_of(
    paths: Sequence[Path | None], images: Sequence[Path], like: Pixels, ignore: int | None
) -> LabelMap:
    """The masks of a stack (D, H, W); where there is none, the slice is unlabelled.

    Raises ``VolumeInvalid``, naming the file, for one of another size than its picture.
    """
    marks: Pixels = np.zeros(like.shape, dtype=np.uint16)
    for n, path in enumerate(paths):
        if path is None:
            continue
        mask = read_marks(path, ignore)
        if mask.shape != like.shape[1:]:
            raise VolumeInvalid(
                f"{path} has {_size(mask)} pixels, its picture {images[n]} has {_size(like[0])}: "
                "a mask has the size of its picture"
            )
        marks[n] = mask
    named = next(path for path in (*paths, images[0]) if path is not None)
    found = as_classes(marks, named.parent, ignore)
    without = frozenset(n for n, path in enumerate(paths) if path is None)
    return LabelMap(found.classes, found.unlabelled | without, found.warnings)


def indices_or_first(indices: Sequence[int]) -> tuple[int, ...]:
    """The indices of a case where some between them are missing; empty where none is."""
    whole = all(after == before + 1 for before, after in pairwise(indices))
    return () if whole else tuple(indices)


def gaps_in_words(indices: Sequence[int], where: object) -> tuple[str, ...]:
    """A line for the report where indices are missing between others."""
    gaps = [(a + 1, b - 1) for a, b in pairwise(indices) if b > a + 1]
    if not gaps:
        return ()
    said = ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in gaps[:8])
    more = " and others" if len(gaps) > 8 else ""
    return (f"{where}: there is no slice {said}{more}: these places stay empty",)


def read_picture_case(
    name: str,
    images: Mapping[int, Path],
    label: Path | None,
    choice: Choice,
    where: Path,
    ignore: int | None,
) -> CaseVolume:
    """A case of one slice: a picture for each channel, or one whose colours are the channels.

    TIFF files of several pages are cases of as many slices.

    ``choice``: of the channels that ``where`` describes. Raises ``VolumeInvalid``.
    """
    first = next(iter(images.values()))
    if first.suffix.lower() in TIFF and pages_of(first) > 1:
        return _tiff_case(name, images, label, choice, where, ignore)
    if len(images) == 1 and choice.offered == len(COLOURS):
        only = next(iter(images.values()))
        channels = stack_of([only], Choice(choice.names, choice.numbers, 3, colour=True))
    else:
        paths = _wanted(name, images, choice, where)
        planes = same_size(paths, [read_picture(path, _ONE) for path in paths])
        channels = tuple(ChannelStack(plane[np.newaxis, ..., 0]) for plane in planes)
    marks = None
    if label is not None:
        marks = masks_of([label], [first], channels[0].pixels, ignore)
    return CaseVolume(
        channels,
        classes=None if marks is None else marks.classes,
        unlabelled=frozenset() if marks is None else marks.unlabelled,
        source={"kind": "pictures"},
        warnings=() if marks is None else marks.warnings,
    )


def _tiff_case(
    name: str,
    images: Mapping[int, Path],
    label: Path | None,
    choice: Choice,
    where: Path,
    ignore: int | None,
) -> CaseVolume:
    """A case whose pictures have pages: its slices, in a place that nobody knows."""
    paths = _wanted(name, images, choice, where)
    channels: list[ChannelStack] = []
    warnings = [f"{paths[0]}: a TIFF does not say where it lies: its spacing is not kept"]
    shape: tuple[int, ...] | None = None
    for path in paths:
        stack = read_tiff_stack(path)
        shape = shape or stack.shape
        _check_shape(path, stack.shape, paths[0], shape)
        channels.append(to_stored(stack, path))
        warnings += loss_of(channels[-1], path, stack.dtype)
    marks = None
    if label is not None:
        numbers = read_tiff_stack(label)
        _check_shape(label, numbers.shape, paths[0], shape or ())
        marks = as_classes(numbers, label, ignore)
    return CaseVolume(
        tuple(channels),
        classes=None if marks is None else marks.classes,
        unlabelled=frozenset() if marks is None else marks.unlabelled,
        source={"kind": "pictures"},
        warnings=(*warnings, *(() if marks is None else marks.warnings)),
    )


def _wanted(name: str, images: Mapping[int, Path], choice: Choice, where: Path) -> list[Path]:
    missing = [number for number in choice.numbers if number not in images]
    if missing:
        raise VolumeInvalid(
            f"case {name!r} has no picture of channel {missing[0]} of those that {where} names"
        )
    return [images[number] for number in choice.numbers]


def _check_shape(
    path: Path, shape: tuple[int, ...], first: Path, expected: tuple[int, ...]
) -> None:
    if shape != expected:
        raise VolumeInvalid(
            f"{path} has {shape[0]} pages of {shape[2]} × {shape[1]} pixels, {first} has "
            f"{expected[0]} of {expected[2]} × {expected[1]}: they must lie on each other"
        )


def _size(picture: Pixels) -> str:
    return f"{picture.shape[1]} × {picture.shape[0]}"
