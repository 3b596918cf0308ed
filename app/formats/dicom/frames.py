"""The frames of a file: one of a classic image, many of an enhanced one."""

import math
from typing import Any

from pydicom.dataset import Dataset, FileDataset

from app.core.errors import VolumeInvalid
from app.formats.dicom import kept
from app.formats.dicom.elements import (
    Incomplete,
    Unclear,
    items,
    optional,
    text,
    uid,
    uid_name,
    value_of,
    whole,
)
from app.formats.dicom.frame import Frame, Ids, Tone
from app.formats.dicom.groups import Groups, keys_of, place_of, rescale_of
from app.formats.dicom.header import Header

# As many pixels as one frame may claim; a mammogram has 30 million, whole slides are no slices.
_LARGEST = 2**26
# How far compressed pixels may unfold: so many bytes, and so many times. Blank ones are tiny.
_UNFOLDED, _TIMES = 2**26, 1000
_BITS = (1, 8, 16, 32, 64)
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")
_TONES: dict[tuple[int, str], Tone] = {
    (1, "MONOCHROME1"): "dark",
    (1, "MONOCHROME2"): "grey",
    (1, "PALETTE COLOR"): "palette",
    **{(3, colours): "colour" for colours in _COLOURS},
}


def frames_of(header: Header) -> list[Frame]:
    """The frames of an image. Raises ``VolumeInvalid``, which names the file and the element."""
    try:
        return _frames(header)
    except Incomplete as incomplete:
        reason = str(incomplete)
    except Unclear as unclear:
        reason = f"{unclear}: fix the header, or leave the file out"
    except Exception:  # a damaged header leads anywhere; what it quotes is not passed on
        reason = "its header cannot be understood: it is damaged, copy it again"
    raise VolumeInvalid(f"{header.path}: {reason}")


def _frames(header: Header) -> list[Frame]:
    dataset = header.dataset
    size, count = size_of(header)
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence")
    shared = (items(dataset, "SharedFunctionalGroupsSequence") or [Dataset()])[0]
    if per_frame and len(per_frame) != count:
        raise Unclear(f"it has {count} frames, and {len(per_frame)} descriptions of frames")
    if not per_frame and count > 1:
        _check_one_order(dataset)
    if "MOSAIC" in text(dataset, "ImageType").split("\\"):
        raise Incomplete("it is a mosaic of many slices in one image: convert it to NIfTI")
    several = value_of(dataset, "NumberOfFrames") is not None and (count > 1 or bool(per_frame))
    ids = ids_of(header)
    base: dict[str, Any] = {
        "path": header.path,
        "ids": ids,
        "series": _series(header, ids),
        "size": size,
        "tone": _tone(dataset, size[2]),
        "pixels_at": _pixels_at(header),
        "instance_number": _optional_whole(dataset, "InstanceNumber"),
        "series_number": _optional_whole(dataset, "SeriesNumber"),
    }
    frames = []
    for n in range(count):
        groups = Groups(dataset, shared, per_frame[n] if per_frame else None)
        # The position of a file of many frames without descriptions is of its first one alone.
        placed = bool(per_frame) or count == 1
        frames.append(
            Frame(
                number=n + 1 if several else None,
                place=place_of(groups) if placed else None,
                rescale=rescale_of(groups),
                lut=bool(
                    items(groups.of("PixelValueTransformationSequence"), "ModalityLUTSequence")
                ),
                keys=keys_of(groups),
                **base,
            )
        )
    return frames


def ids_of(header: Header) -> Ids:
    """The UIDs of a file, those alone that may be kept."""
    dataset = header.dataset
    return Ids(
        study=uid(dataset, "StudyInstanceUID"),
        series=uid(dataset, "SeriesInstanceUID"),
        instance=uid(dataset, "SOPInstanceUID"),
        frame_of_reference=uid(dataset, "FrameOfReferenceUID"),
        sop_class=sop_class_of(header),
    )


def sop_class_of(header: Header) -> str | None:
    """The SOP class of a file, from before its elements where these do not say it."""
    dataset = header.dataset
    return uid(dataset, "SOPClassUID") or uid(dataset.file_meta, "MediaStorageSOPClassUID")


def _series(header: Header, ids: Ids) -> tuple[str, ...]:
    """What is equal for files of one series; without the UID those of one folder are one."""
    try:
        found = text(header.dataset, "SeriesInstanceUID")
    except Unclear:
        found = ""
    return (ids.study or "", found) if found else ("", "", str(header.path.parent))


def size_of(header: Header) -> tuple[tuple[int, int, int], int]:
    """Rows, columns and samples, and the number of frames, if the file holds so many bytes.

    Raises ``Unclear``, before a byte of the pixels is read.
    """
    dataset, extent = header.dataset, header.extent
    if extent is None:
        raise Incomplete("it holds no pixels")
    rows, columns = whole(dataset, "Rows") or 0, whole(dataset, "Columns") or 0
    samples = whole(dataset, "SamplesPerPixel") or 1
    count = whole(dataset, "NumberOfFrames") or 1
    bits = _bits(dataset, extent.keyword)
    if min(rows, columns, samples, count) < 1 or samples not in (1, 3) or bits not in _BITS:
        raise Unclear("Rows, Columns, SamplesPerPixel, NumberOfFrames or BitsAllocated is wrong")
    _check_high_bit(dataset)
    if rows * columns > _LARGEST:
        raise Incomplete(f"it claims {rows} × {columns} pixels, more than is read")
    thinned = text(dataset, "PhotometricInterpretation") == "YBR_FULL_422"
    expected = math.ceil(count * rows * columns * (2 if thinned else samples) * bits / 8)
    if extent.fragments is None:
        if extent.length < expected:
            raise Incomplete(
                f"it is cut: {extent.length} bytes of {expected} of its pixels are there"
            )
    elif not extent.whole:
        raise Incomplete("it is cut: the end of its pixels is missing")
    elif (film := _film(dataset)) is not None:
        raise Incomplete(f"it is a film ({film}), which is not read: write its frames as images")
    elif extent.fragments < count:
        raise Incomplete(f"it claims {count} frames and holds {extent.fragments}")
    elif expected > _UNFOLDED + _TIMES * extent.length:
        raise Incomplete(f"it claims that {extent.length} bytes unfold to {expected} of pixels")
    return (rows, columns, samples), count


def _check_high_bit(dataset: Dataset) -> None:
    """Raise ``Incomplete`` where values do not end at the bit that they must, and mean nothing."""
    stored, high = whole(dataset, "BitsStored"), whole(dataset, "HighBit")
    if stored is not None and high is not None and high != stored - 1:
        raise Incomplete(
            f"its values of {stored} bits are said to end at bit {high}, which programs read in "
            f"different ways: write it again with HighBit {stored - 1}"
        )


def _film(dataset: FileDataset) -> str | None:
    """The transfer syntax of a compressed film, None for images."""
    name = uid_name(uid(dataset.file_meta, "TransferSyntaxUID"))
    return name if "MPEG" in name or "HEVC" in name else None


def _bits(dataset: Dataset, keyword: str) -> int:
    if keyword != "PixelData":
        return 32 if keyword == "FloatPixelData" else 64
    return whole(dataset, "BitsAllocated") or 0


def _check_one_order(dataset: Dataset) -> None:
    """Raise ``Unclear`` where frames run along more than one thing, which no stack can show."""
    runs = 0
    for keyword in kept.VECTORS:
        values = value_of(dataset, keyword)
        runs += values is not None and not isinstance(values, int) and len(set(values)) > 1
    if runs > 1:
        raise Unclear(
            "its frames run along several of windows, detectors, phases, angles and times: write "
            "each into a series of its own"
        )


def _optional_whole(dataset: Dataset, keyword: str) -> int | None:
    found = optional(dataset, keyword)
    return None if found is None else int(found)


def _tone(dataset: Dataset, samples: int) -> Tone:
    tone = _TONES.get((samples, text(dataset, "PhotometricInterpretation")))
    if tone is None:
        raise Unclear("PhotometricInterpretation is missing, or of a kind that is not read")
    return tone


def _pixels_at(header: Header) -> tuple[int, int] | None:
    extent = header.extent
    return None if extent is None or extent.begin < 0 else (extent.begin, extent.length)
