"""The pixels of frames as numbers: decoded, looked up, in the order that they are shown in."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from app.core.errors import VolumeInvalid
from app.core.rescale import PLAIN
from app.formats.channels import Choice, colour_refused, grey_refused
from app.formats.dicom import kept
from app.formats.dicom.codestream import claimed_size
from app.formats.dicom.elements import uid_name
from app.formats.dicom.frame import Frame
from app.formats.dicom.groups import Groups
from app.formats.dicom.header import with_pixels
from app.formats.dicom.quiet import attempt

Pixels = npt.NDArray[Any]

_TAGS = kept.READ + kept.tags(*kept.PIXELS)


def check_colours(frame: Frame, choice: Choice) -> None:
    """Raise ``VolumeInvalid`` for colour that is not asked for, and for grey where it is."""
    coloured = frame.tone in ("colour", "palette")
    if coloured and not choice.colour:
        raise colour_refused(frame.path)
    if choice.colour and not coloured:
        raise grey_refused(frame.path)


def decoded(frames: Sequence[Frame]) -> Iterator[tuple[Frame, Pixels | str]]:
    """Each frame with its pixels, (H, W) or (H, W, 3), or why there are none; a file at a time.

    A frame comes back with the rescaling that its pixels need: values that the file looks up
    are looked up here, and those of MONOCHROME1 are turned, with their slope.
    """
    for path, part in groupby(frames, key=lambda frame: frame.path):
        dataset = attempt(lambda path=path: _opened(path))  # type: ignore[misc]
        for frame in part:
            found = None
            if dataset is not None:
                found = attempt(lambda d=dataset, f=frame: _judged(d, f))  # type: ignore[misc]
            yield found if found is not None else (frame, _why_not(dataset))


def _opened(path: Path) -> FileDataset:
    dataset = with_pixels(path, _TAGS)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        known = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else known
    return dataset


def _judged(dataset: FileDataset, frame: Frame) -> tuple[Frame, Pixels | str]:
    """As ``_frame``, or why it is no picture, where we know better than a library."""
    try:
        return _frame(dataset, frame)
    except VolumeInvalid as invalid:
        return frame, str(invalid)


def _frame(dataset: FileDataset, frame: Frame) -> tuple[Frame, Pixels]:
    index = (frame.number or 1) - 1
    _check_claim(dataset, frame, index)
    several = int(dataset.get("NumberOfFrames") or 1) > 1
    array: Pixels = pixel_array(dataset, index=index if several else None)
    if frame.tone == "palette":
        array = apply_color_lut(array, dataset)
    if frame.tone in ("palette", "colour"):
        if array.ndim != 3 or array.shape[:2] != frame.size[:2]:
            raise VolumeInvalid("its pixels are no coloured picture of the size in its header")
        return frame, array[..., :3]
    if array.shape != frame.size[:2]:
        raise VolumeInvalid("its pixels are no grey picture of the size in its header")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise VolumeInvalid("it holds values that are not finite: replace them by numbers")
    if frame.lut:
        said = Groups.of_frame(dataset, index).of("PixelValueTransformationSequence")
        array = np.asarray(apply_modality_lut(array, said))
        frame = replace(frame, rescale=replace(PLAIN, unit=frame.rescale.unit))
    return _as_shown(frame, array)


def _as_shown(frame: Frame, array: Pixels) -> tuple[Frame, Pixels]:
    """Pixels in the order of what is shown, dark to bright, and a slope that undoes the turn.

    Values of MONOCHROME1 are shown the brighter the lower they are: their slope becomes
    negative. A slope that is negative already and shown by its values becomes positive.
    """
    dark = frame.tone == "dark"
    if (frame.rescale.slope < 0) == dark:
        return frame, array
    wide = array if array.dtype.kind == "f" else array.astype(_wider(array.dtype))
    return replace(frame, rescale=replace(frame.rescale, slope=-frame.rescale.slope)), -wide


def _wider(dtype: np.dtype[Any]) -> type[np.signedinteger[Any]]:
    """Integers that hold the negative of any of a type's; of 64 bits no file holds the largest."""
    return np.int32 if dtype.itemsize < 4 else np.int64


def _check_claim(dataset: FileDataset, frame: Frame, index: int) -> None:
    """Raise for compressed pixels that claim another size than the header: a decoder obeys."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_encapsulated:
        return
    count = int(dataset.get("NumberOfFrames") or 1)
    table = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        table = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    stream = get_frame(dataset.PixelData, index, number_of_frames=count, extended_offsets=table)
    claim = claimed_size(stream)
    if claim is not None and claim != frame.size[:2]:
        raise VolumeInvalid(
            f"its compressed pixels are {claim[0]} × {claim[1]}, and its header says "
            f"{frame.size[0]} × {frame.size[1]}"
        )


def _why_not(dataset: FileDataset | None) -> str:
    if dataset is None:
        return "it cannot be read"
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    known = uid_name(syntax)
    plain = (
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    )
    if syntax in plain:
        return "its pixels cannot be read: the header does not fit them"
    return (
        f"its pixels cannot be decoded ({known or 'an unknown transfer syntax'}): it is damaged, "
        "or compressed in a way that is not read; write it again without compression"
    )
