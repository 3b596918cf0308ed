"""What a folder is taken for: all layouts are asked, and the surest is right."""

from collections import Counter
from pathlib import Path

from app.core import catalogue
from app.core.errors import CannotLoad, VolumeInvalid
from app.formats.files import files_in
from app.formats.layout import Detected, find_layout

_LISTED = 8


def detect_layout(folder: Path) -> tuple[str, Detected]:
    """The name of the layout that a folder has, and what it is taken for.

    Raises ``VolumeInvalid`` where no layout knows it, or two are equally sure.
    """
    found: dict[str, Detected] = {}
    for name in catalogue.names("layout"):
        try:
            layout = find_layout(name)
            detected = layout.detect(folder) if hasattr(layout, "detect") else None
        except (CannotLoad, VolumeInvalid):
            continue  # what cannot be asked knows nothing
        if detected is not None:
            found[name] = detected
    if not found:
        raise VolumeInvalid(
            f"{folder} is of no layout that is known: it holds {_seen(folder)}; the layouts are\n"
            + "\n".join(f"  {name}: {find_layout(name).words}" for name in _loadable())
        )
    surest = max(detected.certainty for detected in found.values())
    best = [name for name, detected in found.items() if detected.certainty == surest]
    if len(best) > 1:
        takes = "; ".join(f"{name} takes it for {found[name].words}" for name in best)
        raise VolumeInvalid(
            f"{folder} may be of several layouts: {takes}. It holds {_seen(folder)}: name the "
            "layout instead of auto"
        )
    return best[0], found[best[0]]


def _loadable() -> list[str]:
    names = []
    for name in catalogue.names("layout"):
        try:
            find_layout(name)
        except CannotLoad:
            continue
        names.append(name)
    return names


def _seen(folder: Path) -> str:
    """The kinds of files, the most frequent first."""
    files = files_in(folder)
    if not files:
        return "no files"
    kinds = Counter("".join(path.suffixes[-2:]).lower() or "no ending" for path in files)
    listed = [f"{count} × {kind}" for kind, count in kinds.most_common(_LISTED)]
    more = len(kinds) - len(listed)
    return ", ".join(listed) + (f" and {more} other kinds" if more > 0 else "")
