"""The map of a round's pool: drawn when somebody looks at it first, and kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from app.loop.projects import lock_project
from app.loop.slices import still_there
from app.store import MapPoint, QueryItem, Round, SliceFeatures

# How features are stored.
FEATURES = "<f2"
# More dots cannot be told apart, and t-SNE of more takes long.
_MOST_POOL, _MOST_LABELLED = 500, 200
# Fewer have no neighbours to be near to.
_FEWEST = 3
# Whoever draws a map needs seconds: after so long they are gone, or it failed and is tried again.
_LONGEST = timedelta(minutes=2)


class MapState(StrEnum):
    """Whether a round's map is there, is to be drawn, or cannot be; or was there long enough."""

    DRAWN = "drawn"
    DRAWING = "drawing"
    FAILED = "failed"
    REMOVED = "removed"
    NONE = "none"


def map_state(session: Session, round_: Round, now: datetime) -> MapState:
    """``drawing`` where it is being drawn or should be; ``none`` without features of its model."""
    drawn = select(MapPoint.slice_id).where(MapPoint.round_id == round_.id).limit(1)
    if session.scalar(drawn) is not None:
        return MapState.DRAWN
    if round_.map_removed_at is not None:
        return MapState.REMOVED
    found = select(SliceFeatures.slice_id).where(SliceFeatures.model_id == round_.model_id)
    if round_.model_id is None or len(session.scalars(found.limit(_FEWEST)).all()) < _FEWEST:
        return MapState.NONE
    if round_.map_error is not None and round_.map_begun_at is not None:
        lately = round_.map_begun_at > now - _LONGEST
        return MapState.FAILED if lately else MapState.DRAWING
    return MapState.DRAWING


def begin_map(session: Session, round_id: int, now: datetime) -> bool:
    """Take it on to draw a round's map; False where another server has, or it is drawn."""
    free = or_(Round.map_begun_at.is_(None), Round.map_begun_at < now - _LONGEST)
    undrawn = ~select(MapPoint.slice_id).where(MapPoint.round_id == round_id).exists()
    taken = session.execute(
        update(Round)
        .where(Round.id == round_id, Round.map_removed_at.is_(None), free, undrawn)
        .values(map_begun_at=now, map_error=None)
        .returning(Round.id)
    ).all()
    return bool(taken)


@dataclass(frozen=True)
class ToSpread:
    """What goes on a map: slices (N) by id, their features (N, F), and the seed."""

    ids: list[int]
    features: npt.NDArray[np.float32]
    seed: int


def to_spread(session: Session, round_id: int) -> ToSpread | None:
    """The batch, a draw of the rest of the pool and one of the slices that were labelled.

    None where the round or its model's features are gone.
    """
    round_ = session.get(Round, round_id)
    if round_ is None:
        return None
    of_model = SliceFeatures.model_id == round_.model_id
    query = select(SliceFeatures.slice_id, SliceFeatures.foreground_pixels).where(of_model)
    # What a model was not asked about was labelled when it chose.
    kinds = session.execute(query.order_by(SliceFeatures.slice_id)).all()
    batch = set(session.scalars(select(QueryItem.slice_id).where(QueryItem.round_id == round_id)))
    pool = [row.slice_id for row in kinds if row.foreground_pixels is not None]
    labelled = [row.slice_id for row in kinds if row.foreground_pixels is None]
    seed = int(round_.settings["seed"])
    rng = np.random.default_rng(seed)
    rest = rng.permutation([one for one in pool if one not in batch]).tolist()
    shown = [*(one for one in pool if one in batch), *rest][:_MOST_POOL]
    shown += rng.permutation(labelled)[:_MOST_LABELLED].tolist()
    chosen = [int(one) for one in shown]
    rows = select(SliceFeatures.slice_id, SliceFeatures.features).where(
        of_model, SliceFeatures.slice_id.in_(chosen)
    )
    found = {row.slice_id: np.frombuffer(row.features, FEATURES) for row in session.execute(rows)}
    ids = [one for one in chosen if one in found]
    if len(ids) < _FEWEST:
        return None
    return ToSpread(ids, np.stack([found[one] for one in ids]).astype(np.float32), seed)


def keep_map(session: Session, round_id: int, places: Mapping[int, tuple[float, float]]) -> None:
    """Keep where slices lie, by id; what was deleted meanwhile is left out."""
    round_ = session.get(Round, round_id)
    if round_ is None:
        return
    lock_project(session, round_.project_id, even_archived=True)
    there = still_there(session, places.keys())
    session.execute(delete(MapPoint).where(MapPoint.round_id == round_id))
    session.add_all(
        MapPoint(round_id=round_id, slice_id=slice_id, x=x, y=y)
        for slice_id, (x, y) in places.items()
        if slice_id in there
    )
    session.flush()


def give_map_up(session: Session, round_id: int, error: str | None) -> None:
    """Note why a map could not be drawn; without an error, another server may at once."""
    begun = {} if error else {"map_begun_at": None}
    session.execute(update(Round).where(Round.id == round_id).values(map_error=error, **begun))
