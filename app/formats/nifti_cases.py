"""NIfTI files as cases: channels from several files or a fourth dimension, and a label map."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from app.core.errors import VolumeInvalid
from app.formats import axial
from app.formats.case import CaseVolume, ChannelStack, Classes
from app.formats.channels import (
    Choice,
    choose,
    choose_colour,
    colour_refused,
    grey_refused,
    numbered,
)
from app.formats.layout import CaseFiles
from app.formats.nifti_file import FileVoxels, NiftiFile, Voxels, open_nifti, read_voxels, scaled
from app.formats.stored import loss_of, to_stored

SUFFIXES = (".nii.gz", ".nii")
# Millimetres that the corners of two channels may lie apart, and, in voxels, those of a label map.
_CHANNELS_APART = 1e-3
_LABELS_APART = 0.1


def nifti_case(
    images: Sequence[Path], labels: Path | None, choice: Choice, name: str | None = None
) -> CaseFiles:
    """A case of one file or several, which together hold the channels on offer."""
    named = name or stem(images[0])
    return CaseFiles(named, lambda: read_nifti(images, labels, choice))


def stem(path: Path) -> str:
    """The name of a NIfTI file without its ending."""
    return path.name.removesuffix(".gz").removesuffix(".nii")


def choose_of_files(
    files: Sequence[Path], asked: Sequence[str], where: Path, names: Sequence[str] = ()
) -> Choice:
    """What is wanted of files that each hold a case, by the header of the first that opens.

    ``names``: what a description calls the channels. Raises ``VolumeInvalid``.
    """
    for path in files:
        try:
            first = open_nifti(path)
        except VolumeInvalid:
            continue  # it is refused by name when its case is read
        if first.colour:
            return choose_colour(asked, path)
        if len(names) <= 1 and len(names) != first.volumes:
            return choose(numbered(first.volumes), asked, where)
        break
    return choose(names or numbered(1), asked, where)


def read_nifti(
    images: Sequence[Path], labels: Path | None = None, choice: Choice | None = None
) -> CaseVolume:
    """Volumes with their label map, as axial slices in radiological view.

    ``choice``: which of the volumes; without it, all. Raises ``VolumeInvalid`` for unreadable
    files, NaN, channels or labels of another shape or place, and a number of volumes that is
    not the data set's.
    """
    files = [open_nifti(path) for path in images]
    offered = [(file, number) for file in files for number in range(file.volumes)]
    choice = choice or choose(numbered(len(offered)), (), images[0])
    _check_offer(files, len(offered), choice)
    wanted = [offered[number] for number in choice.numbers]
    first = wanted[0][0]
    channels: list[ChannelStack] = []
    warnings: list[str] = []
    loaded, voxels = None, None
    for file, number in wanted:
        if voxels is None or file is not loaded:
            _check_place(file, first, _CHANNELS_APART, "channel")
            loaded, voxels = file, read_voxels(file)
        stack = axial.to_stack(voxels.numbers[..., number], file.axes)
        channel = to_stored(stack, file.path, voxels.slope, voxels.intercept)
        channel = replace(channel, largest_error=_error(channel, stack, voxels))
        channels.append(channel)
        warnings += loss_of(channel, file.path, voxels.dtype)
    return CaseVolume(
        channels=tuple(channels),
        classes=None if labels is None else _read_classes(labels, first),
        geometry=first.geometry,
        source=first.source | {"dtype": voxels.dtype.name if voxels else "uint8"},
        warnings=tuple(warnings),
    )


def _error(channel: ChannelStack, stack: Voxels, voxels: FileVoxels) -> float:
    """How far values that come back lie from those that nibabel gives."""
    if (voxels.slope, voxels.intercept) == (1.0, 0.0) or stack.dtype.kind == "f":
        return channel.largest_error
    return max(
        float(np.abs(scaled(plane, voxels) - channel.rescale_of(n).values(stored)).max())
        for n, (plane, stored) in enumerate(zip(stack, channel.pixels, strict=True))
    )


def _check_offer(files: Sequence[NiftiFile], offered: int, choice: Choice) -> None:
    path = files[0].path
    if any(file.colour for file in files) and not choice.colour:
        raise colour_refused(path)
    if choice.colour and not files[0].colour:
        raise grey_refused(path)
    if offered != choice.offered:
        raise VolumeInvalid(
            f"{path} holds {offered} channels, but the data set has {choice.offered}: "
            "import such cases apart"
        )


def _read_classes(path: Path, image: NiftiFile) -> Classes:
    labels = open_nifti(path)
    if labels.volumes > 1:
        raise VolumeInvalid(
            f"{path} has the shape {labels.shape}: a label map has three dimensions"
        )
    _check_place(labels, image, _LABELS_APART * min(vars(image.geometry.spacing).values()), "label")
    voxels = read_voxels(labels)
    marks = axial.to_stack(scaled(voxels.numbers[..., 0], voxels), labels.axes)
    if not np.array_equal(marks, np.rint(marks)) or marks.min() < 0 or marks.max() > 255:
        raise VolumeInvalid(
            f"{path} holds values from {marks.min()} to {marks.max()}: "
            "a label map has whole numbers from 0 to 255"
        )
    return marks.astype(np.uint8)


def _check_place(file: NiftiFile, first: NiftiFile, apart: float, what: str) -> None:
    """Raise ``VolumeInvalid`` where the voxels of two files do not lie on each other."""
    if file.stack_shape != first.stack_shape:
        raise VolumeInvalid(
            f"{file.path} has the shape {file.shape}, its image {first.path} has {first.shape}"
        )
    depth, height, width = first.stack_shape
    away = max(
        float(np.linalg.norm(file.geometry.position(*c) - first.geometry.position(*c)))
        for c in product((0, width - 1), (0, height - 1), (0, depth - 1))
    )
    if away > apart:
        raise VolumeInvalid(
            f"{file.path} lies up to {away:.3g} mm away from {first.path}, so that this {what} "
            "would be shown in the wrong place: write both with the same affine"
        )
