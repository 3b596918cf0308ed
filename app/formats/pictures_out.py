"""The images of a case as picture files, exactly as they are stored."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from app.formats.writer import About, ExportedCase, Target


def picture_name(index: int) -> str:
    """A slice's file: its index in the case with at least three digits."""
    return f"{index:03d}.png"


def write_pictures(case: ExportedCase, target: Target, about: About) -> list[list[str]]:
    """Write images/CASE/INDEX.png; returns the way from the folder to each slice's files.

    One channel is a grey picture of its stored 8 or 16 bits; three of 8 bits are one in colour;
    any other number lies in images/CHANNEL/CASE/INDEX.png.
    """
    found: list[list[str]] = []
    coloured = _is_coloured(case)
    for slice_, index in enumerate(case.indices):
        name = picture_name(index)
        places: dict[tuple[str, ...], bytes]
        if len(case.channels) == 1:
            places = {(case.name, name): case.channels[0].pngs[slice_]}
        elif coloured:
            places = {(case.name, name): _colour(case, slice_)}
        else:
            names = about.channels
            places = {
                (names[n], case.name, name): channel.pngs[slice_]
                for n, channel in enumerate(case.channels)
            }
        for parts, png in places.items():
            target.path("images", *parts).write_bytes(png)
        found.append(["/".join(("images", *parts)) for parts in places])
    return found


def _is_coloured(case: ExportedCase) -> bool:
    return len(case.channels) == 3 and all(channel.bits == 8 for channel in case.channels)


def _colour(case: ExportedCase, slice_: int) -> bytes:
    planes: Sequence[np.ndarray] = [channel.pixels(slice_) for channel in case.channels]
    buffer = io.BytesIO()
    Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()
