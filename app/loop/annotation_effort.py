"""An annotator's seconds, fitted to what the clocks of a project's masks say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from app.core.effort import Effort
from app.core.errors import InvalidInput
from app.core.outlines import outline, outline_to_change
from app.core.pixels import decode
from app.store import Mask, MaskOrigin, MaskSource, Project, Slice, Suggestion, blobs

# The newest say how people draw by now; fewer than the least say nothing.
_MOST, _LEAST = 2000, 20
_PAGE = 100
_FROM_SUGGESTION = (MaskOrigin.CORRECTED, MaskOrigin.ACCEPTED)


@dataclass(frozen=True)
class Drawing:
    """One mask: its seconds by the page's clock, and the sides of pixels that were drawn for it."""

    seconds: float
    drawn: int


@dataclass(frozen=True)
class Fitted:
    """Seconds that fit a project: of how many masks, and how far a mask is off in the middle."""

    effort: Effort
    masks: int
    median_error: float


def fit_effort(session: Session, project: Project) -> Fitted:
    """Seconds of those who drew by hand in this project. Raises ``InvalidInput`` for too few."""
    return fit(drawings(session, project))


def drawings(session: Session, project: Project) -> list[Drawing]:
    """The newest masks by hand whose seconds are known, a page at a time."""
    query = (
        select(Mask.id, Mask.seconds, Mask.origin, Mask.sha256, Suggestion.mask_sha256)
        .join(Slice, Slice.id == Mask.slice_id)
        .outerjoin(
            Suggestion,
            and_(
                Suggestion.slice_id == Mask.slice_id,
                Suggestion.model_id == Mask.suggestion_model_id,
            ),
        )
        .where(
            Slice.project_id == project.id,
            Mask.source == MaskSource.HUMAN,
            Mask.seconds.is_not(None),
        )
        .order_by(Mask.id.desc())
        .limit(_MOST)
    )
    rows = session.execute(query).all()
    found = []
    for start in range(0, len(rows), _PAGE):
        page = rows[start : start + _PAGE]
        wanted = {name for row in page for name in (row.sha256, row.mask_sha256) if name}
        pixels = blobs.get_many(session, wanted)
        for row in page:
            mask = decode(pixels[row.sha256])
            begun = row.origin in _FROM_SUGGESTION
            if begun and row.mask_sha256 is None:
                # What was changed of it cannot be known any more.
                continue
            drawn = (
                outline_to_change(decode(pixels[row.mask_sha256]), mask) if begun else outline(mask)
            )
            found.append(Drawing(float(row.seconds), drawn))
    return found


def fit(drawn: Sequence[Drawing]) -> Fitted:
    """Seconds a slice and a side of outline that fit best; a coffee break weighs little.

    Raises ``InvalidInput`` for fewer than 20 masks.
    """
    if len(drawn) < _LEAST:
        raise InvalidInput(
            f"{len(drawn)} masks were drawn by hand with a clock: to fit seconds takes {_LEAST}"
        )
    seconds = np.array([one.seconds for one in drawn])
    sides = np.array([one.drawn for one in drawn], dtype=float)

    def errors(values: np.ndarray) -> np.ndarray:
        found: np.ndarray = values[0] + values[1] * sides - seconds
        return found

    begin = np.array([np.median(seconds) / 2, 0.1])
    scale = max(float(np.median(np.abs(seconds - np.median(seconds)))), 0.5)
    best = optimize.least_squares(
        errors, begin, bounds=(0, np.inf), loss="soft_l1", f_scale=scale
    ).x
    effort = Effort(slice_seconds=round(best[0], 3), pixel_seconds=round(best[1], 4))
    return Fitted(effort, len(drawn), float(np.median(np.abs(errors(best)))))
