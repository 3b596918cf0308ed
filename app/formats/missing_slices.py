"""Places of a volume that no slice has: an export of ours fills them, and says which they are."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from app.formats.case import CaseVolume
from app.formats.planes import Affine


def without_missing(volume: CaseVolume, order: Affine, facts: Mapping[str, Any]) -> CaseVolume:
    """A case without the slices that an export only filled in.

    ``order``: (4, 4) from (column, row, slice, 1) to the file's (i, j, k, 1); ``facts``: what the
    export says of the case, ``missing_slices`` along ``slice_axis`` of the file.
    """
    missing = facts.get("missing_slices")
    if not isinstance(missing, list) or not missing:
        return volume
    axis = int(np.abs(order[:3, 2]).argmax())
    if facts.get("slice_axis") != axis:
        return volume  # it is cut in another plane, where each slice shows some of them
    places = order[axis, 3] + order[axis, 2] * np.arange(volume.depth)
    kept = [n for n, place in enumerate(places.tolist()) if int(place) not in missing]
    if not kept or len(kept) == volume.depth:
        return volume
    return replace(
        volume,
        channels=tuple(
            replace(
                channel,
                pixels=channel.pixels[kept],
                rescale=channel.rescale
                if len(channel.rescale) == 1
                else tuple(channel.rescale[n] for n in kept),
            )
            for channel in volume.channels
        ),
        classes=None if volume.classes is None else volume.classes[kept],
        indices=tuple(kept),
        first_index=kept[0],
        unlabelled=frozenset(n for n, place in enumerate(kept) if place in volume.unlabelled),
    )
