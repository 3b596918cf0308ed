"""What a batch that is drawn for variety is drawn by: how slices look, and where they lie."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.variety import THUMBNAIL
from app.store import Slice


@dataclass(frozen=True)
class Appearances:
    """Slices by id: thumbnails (N, 64) uint8, the case of each (N,), and its place (N,), from 0
    at the case's first slice to 1 at its last.
    """

    ids: list[int]
    thumbnails: npt.NDArray[np.uint8]
    cases: npt.NDArray[np.int64]
    places: npt.NDArray[np.float64]


def appearances_of(session: Session, project_id: int, slice_ids: Collection[int]) -> Appearances:
    """How these slices of a project look, and where they lie.

    Those of before there were thumbnails are black.
    """
    wanted = set(slice_ids)
    ends = (
        select(
            Slice.case_id,
            func.min(Slice.index).label("first"),
            func.max(Slice.index).label("last"),
        )
        .where(Slice.project_id == project_id)
        .group_by(Slice.case_id)
        .subquery()
    )
    # Filtered here: a database takes no list of a hundred thousand ids.
    query = (
        select(Slice.id, Slice.case_id, Slice.index, Slice.appearance, ends.c.first, ends.c.last)
        .join(ends, ends.c.case_id == Slice.case_id)
        .where(Slice.project_id == project_id)
        .order_by(Slice.id)
    )
    rows = [row for row in session.execute(query) if row.id in wanted]
    blank = bytes(THUMBNAIL * THUMBNAIL)
    looks = [np.frombuffer(row.appearance or blank, dtype=np.uint8) for row in rows]
    return Appearances(
        ids=[row.id for row in rows],
        thumbnails=np.stack(looks) if looks else np.zeros((0, len(blank)), dtype=np.uint8),
        cases=np.array([row.case_id for row in rows], dtype=np.int64),
        places=np.array([(r.index - r.first) / max(r.last - r.first, 1) for r in rows]),
    )
