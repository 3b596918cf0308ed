"""Frames that can lie in one stack: of one size, orientation and spacing."""

from collections.abc import Sequence

import numpy as np

from app.formats.dicom.frame import Frame

# How far orientations of one stack may differ (they are written with few digits), and spacings.
_TURNED, _SPACED = 1e-3, 1e-4


def alike(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames of one size, orientation and spacing; a file of many frames without a place alone."""
    exact: dict[object, list[Frame]] = {}
    for frame in frames:
        key: tuple[object, ...] = (frame.size, frame.tone)
        if frame.place is not None:
            spacing = frame.place.spacing
            key += (
                frame.place.orientation.tobytes(),
                None if spacing is None else spacing.tobytes(),
            )
        elif frame.number is not None:
            key += (frame.path,)
        exact.setdefault(key, []).append(frame)
    groups: list[list[Frame]] = []
    for part in exact.values():
        like = next((group for group in groups if _is_alike(group[0], part[0])), None)
        if like is None:
            groups.append(part)
        else:
            like += part
    return groups


def _is_alike(one: Frame, other: Frame) -> bool:
    a, b = one.place, other.place
    if (one.size, one.tone) != (other.size, other.tone) or a is None or b is None:
        return False
    if (a.spacing is None) != (b.spacing is None):
        return False
    spaced = a.spacing is None or b.spacing is None or np.abs(a.spacing - b.spacing).max()
    turned = np.abs(a.orientation - b.orientation).max()
    return bool(turned <= _TURNED and (spaced is True or spaced <= _SPACED))


def why_apart(frame: Frame, main: Sequence[Frame]) -> str:
    """In what a frame differs from the others of its series."""
    count, first = len(main), main[0]
    if frame.size != first.size:
        rows, columns, _ = frame.size
        return f"it has {rows} × {columns} pixels, unlike the {count} other images of its series"
    if frame.tone != first.tone:
        return f"it shows its values otherwise than the {count} other images of its series"
    if frame.place is None or first.place is None:
        return f"it says no position, unlike the {count} other images of its series"
    if np.abs(frame.place.orientation - first.place.orientation).max() > _TURNED:
        return f"it lies in another plane than the {count} other images of its series: a scout?"
    return f"its pixels are spaced unlike those of the {count} other images of its series"
