"""Which layout a folder is of."""

from pathlib import Path

from app.core import catalogue
from app.core.errors import CannotLoad, VolumeInvalid
from app.formats.layout import Detected, find_layout


def detect_layout(folder: Path) -> tuple[str, Detected]:
    """The layout that is surest of a folder, and what it takes it for.

    Raises ``VolumeInvalid`` where none knows it, or several are equally sure.
    """
    found: list[tuple[str, Detected]] = []
    for name in catalogue.names("layout"):
        try:
            detect = getattr(find_layout(name), "detect", None)
        except CannotLoad:
            continue
        detected = detect(folder) if detect else None
        if detected:
            found.append((name, detected))
    surest = max((one.certainty for _, one in found), default=0)
    best = [(name, one) for name, one in found if one.certainty == surest]
    if len(best) == 1:
        return best[0]
    if not best:
        raise VolumeInvalid(
            f"{folder} is of no layout that is known: name one of "
            f"{', '.join(catalogue.names('layout'))}"
        )
    said = "; ".join(f"{name} ({one.words})" for name, one in best)
    raise VolumeInvalid(f"{folder} may be of several layouts: {said}: name one of them")
