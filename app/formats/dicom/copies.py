"""Files that are there twice: the same pixels under the same name, or at the same place."""

import hashlib
from collections.abc import Callable, Hashable, Sequence

from app.formats.dicom.frame import Frame


def without_copies(
    frames: Sequence[Frame], likeness: Callable[[Frame], object]
) -> tuple[list[Frame], dict[str, str]]:
    """Frames without those that hold, byte by byte, the pixels of an earlier one.

    Only frames of one ``likeness`` that is not None are compared: their pixels are read from
    the disk, and not decoded. Second: the files that are left out, and why.
    """
    alike: dict[object, list[Frame]] = {}
    for frame in frames:
        if (key := likeness(frame)) is not None:
            alike.setdefault(key, []).append(frame)
    left_out, dropped = {}, set()
    for group in alike.values():
        known: dict[Hashable, Frame] = {}
        for frame in group if len(group) > 1 else ():
            first = known.setdefault(_content(frame), frame)
            if first is not frame:
                dropped.add(id(frame))
                left_out[frame.file] = f"it is a copy of {first.file}"
    return [frame for frame in frames if id(frame) not in dropped], left_out


def _content(frame: Frame) -> Hashable:
    """What is equal where pixels and their meaning are."""
    if frame.pixels_at is None:
        return id(frame)
    begin, left = frame.pixels_at
    digest = hashlib.sha256()
    try:
        with frame.path.open("rb") as file:
            file.seek(begin)
            while left and (chunk := file.read(min(left, 2**20))):
                digest.update(chunk)
                left -= len(chunk)
    except OSError:
        return id(frame)
    return digest.digest(), frame.size, frame.tone, frame.rescale, frame.number
