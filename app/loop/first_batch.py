"""The first batch, before there is a model: at random, or varied by how slices look."""

import numpy as np
from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from app.core.project_settings import query_settings
from app.core.streams import Stream
from app.core.variety import Appearance, k_centre_of_appearances
from app.loop.batches import add_items, size_of, unlabelled_pool
from app.loop.rounds import open_round, start_round
from app.store import ModelVersion, Project, QueryItem, Round, Slice


def ensure_round(session: Session, project: Project) -> Round | None:
    """The open round; before the first model, a draw from the pool.

    While there is no model the draw is filled up as slices arrive. None when the pool is empty
    or used up.
    """
    round_ = open_round(session, project)
    if round_ is not None and round_.model_id is not None:
        return round_
    if round_ is None and has_model(session, project):
        return None
    return fill_first_batch(session, project, round_)


def has_model(session: Session, project: Project) -> bool:
    """Whether the project was trained ever."""
    return bool(session.scalar(select(exists().where(ModelVersion.project_id == project.id))))


def fill_first_batch(session: Session, project: Project, round_: Round | None) -> Round | None:
    """Draw what the first batch still lacks; None when there is nothing to draw from."""
    settings = query_settings(project)
    wanted = settings.initial_size or settings.size
    taken = 0 if round_ is None else size_of(session, round_)
    if taken >= wanted:
        return round_
    pool = list(session.scalars(unlabelled_pool(project)))
    if round_ is not None:
        items = select(QueryItem.slice_id).where(QueryItem.round_id == round_.id)
        pool = sorted(set(pool) - set(session.scalars(items)))
    if not pool:
        return round_
    if round_ is None:
        round_ = start_round(session, project, None, settings, settings.seed, settings.initial)
    # Seeded by what is taken already, so that a draw that grows is as reproducible as one made
    # at once.
    rng = np.random.default_rng([settings.seed, taken])
    if settings.initial == "k-centre":
        draw = _varied(session, project, round_, pool, wanted - taken, rng)
    else:
        draw = rng.permutation(np.array(pool))[: wanted - taken].tolist()
    add_items(session, round_, [(slice_id, Stream.INITIAL, None) for slice_id in draw])
    return round_


def _varied(
    session: Session,
    project: Project,
    round_: Round,
    pool: list[int],
    k: int,
    rng: np.random.Generator,
) -> list[int]:
    """K of the pool, as unlike each other and what the round holds already as can be."""
    items = select(QueryItem.slice_id).where(QueryItem.round_id == round_.id)
    taken = appearances_of(session, Slice.id.in_(items))
    looks = appearances_of(session, Slice.id.in_(unlabelled_pool(project)))
    ids = [i for i in pool if i in looks]
    order: list[int] = []
    if ids:
        before = np.stack(list(taken.values())) if taken else None
        order = k_centre_of_appearances(np.stack([looks[i] for i in ids]), k, rng, before)
    # Slices of before there were thumbnails fill up what is missing.
    rest = rng.permutation(np.array([i for i in pool if i not in looks], dtype=np.int64))
    return [*(ids[i] for i in order), *rest.tolist()][:k]


def appearances_of(session: Session, which: ColumnElement[bool]) -> dict[int, Appearance]:
    """The thumbnails of slices by id; of those from before there were thumbnails, none."""
    query = select(Slice.id, Slice.appearance).where(which, Slice.appearance.is_not(None))
    return {
        slice_id: np.frombuffer(look, dtype=np.uint8)
        for slice_id, look in session.execute(query.order_by(Slice.id))
        if look is not None
    }
