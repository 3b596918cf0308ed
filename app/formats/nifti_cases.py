"""Volumes as cases: channels from several files or a fourth dimension, and a label map."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from app.core.errors import VolumeInvalid
from app.formats import planes
from app.formats.case import CaseVolume, ChannelStack
from app.formats.channels import (
    Choice,
    choose,
    choose_colour,
    colour_refused,
    grey_refused,
    numbered,
)
from app.formats.label_maps import LabelRules, check_place, read_label_map
from app.formats.layout import CaseFiles, ReadOptions
from app.formats.missing_slices import without_missing
from app.formats.stored import loss_of, to_stored
from app.formats.volume_file import FileVoxels, VolumeFile, Voxels, scaled
from app.formats.volumes import open_volume, stem

_PLAIN = ReadOptions()
# As many slices as a case may have: a header that says otherwise would fill the database.
_MOST_SLICES = 20_000


def nifti_case(
    images: Sequence[Path],
    labels: Path | None,
    choice: Choice,
    name: str | None = None,
    options: ReadOptions = _PLAIN,
    ignore: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> CaseFiles:
    """A case of one file or several, which together hold the channels on offer.

    ``ignore``: the number of what nobody has labelled; ``facts``: what an export of ours says.
    """
    named = name or stem(images[0])
    return CaseFiles(named, lambda: read_nifti(images, labels, choice, options, ignore, facts))


def choose_of_files(
    files: Sequence[Path], asked: Sequence[str], where: Path, names: Sequence[str] = ()
) -> Choice:
    """What is wanted of files that each hold a case, by the header of the first that opens.

    ``names``: what a description calls the channels. Coloured files among others are refused by
    name when their case is read, unless all are, or three channels are asked for. Raises
    ``VolumeInvalid``.
    """
    grey, coloured = None, None
    for path in files:
        try:
            first = open_volume(path)
        except VolumeInvalid:
            continue  # it is refused by name when its case is read
        if first.colour:
            coloured = path
        else:
            grey = grey or first
        # Three names may stand for colours: then all files are asked whether one has them.
        if (coloured or len(asked) != 3 or first.volumes > 1) and (grey or len(asked) == 3):
            break
    if coloured and (len(asked) == 3 or grey is None):
        return choose_colour(asked, coloured)
    if grey is not None and len(names) <= 1 and len(names) != grey.volumes:
        return choose(numbered(grey.volumes), asked, where)
    return choose(names or numbered(1), asked, where)


def read_nifti(
    images: Sequence[Path],
    labels: Path | None = None,
    choice: Choice | None = None,
    options: ReadOptions = _PLAIN,
    ignore: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> CaseVolume:
    """Volumes with their label map, as slices of their plane in radiological view.

    ``choice``: which of the volumes; without it, all. Raises ``VolumeInvalid`` for unreadable
    files, NaN, channels or labels of another shape or place, and a number of volumes that is
    not the data set's.
    """
    files = [open_volume(path) for path in images]
    offered = [(file, number) for file in files for number in range(file.volumes)]
    choice = choice or choose(numbered(len(offered)), (), images[0])
    _check_offer(files, len(offered), choice)
    wanted = [offered[number] for number in choice.numbers]
    first = wanted[0][0]
    plane = options.plane or first.plane
    if first.stack_shape(plane)[0] > _MOST_SLICES:
        raise VolumeInvalid(
            f"{first.path} has the shape {first.shape}: cut in {plane} slices, these are more than "
            f"{_MOST_SLICES}; name another plane, or cut it into parts"
        )
    channels: list[ChannelStack] = []
    warnings: list[str] = []
    loaded, voxels = None, None
    for file, number in wanted:
        if voxels is None or file is not loaded:
            if file is not first:
                check_place(file, first, plane, "channel")
            warnings += file.warnings
            loaded, voxels = file, file.load()
        stack = planes.to_stack(voxels.numbers[..., number], file.axes, plane)
        channel = to_stored(stack, file.path, voxels.slope, voxels.intercept)
        channel = replace(channel, largest_error=_error(channel, stack, voxels))
        channels.append(channel)
        warnings += loss_of(channel, file.path, voxels.dtype)
    dtype = voxels.dtype.name if voxels else "uint8"
    rules = LabelRules(ignore, options.trust_voxels)
    marks = None if labels is None else read_label_map(labels, first, plane, rules)
    volume = CaseVolume(
        channels=tuple(channels),
        classes=None if marks is None else marks.classes,
        geometry=first.geometry(plane),
        unlabelled=frozenset() if marks is None else marks.unlabelled,
        source=first.source(plane) | {"dtype": dtype},
        warnings=tuple(dict.fromkeys([*warnings, *(marks.warnings if marks else ())])),
    )
    order = planes.order(first.axes, first.size, plane)
    return without_missing(volume, order, facts) if facts else volume


def _error(channel: ChannelStack, stack: Voxels, voxels: FileVoxels) -> float:
    """How far values that come back lie from those that nibabel gives."""
    if (voxels.slope, voxels.intercept) == (1.0, 0.0) or stack.dtype.kind == "f" or channel.cut:
        return channel.largest_error
    return max(
        float(np.abs(scaled(plane, voxels) - channel.rescale_of(n).values(stored)).max())
        for n, (plane, stored) in enumerate(zip(stack, channel.pixels, strict=True))
    )


def _check_offer(files: Sequence[VolumeFile], offered: int, choice: Choice) -> None:
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
