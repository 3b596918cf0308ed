"""What need not be kept for ever: maps, scores and suggestions of rounds long over, weights that
nobody uses, reports of imports and exports.

What labels and models rest on is never among it: masks, labels, readings, the audit trail, and what
a model was trained on and came to. Nothing goes without an entry in the audit trail before.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from app.core.model_scores import measured_on
from app.loop import traces
from app.loop.audit import record
from app.loop.models import SCORES, SUGGESTIONS, WEIGHTS, current_model
from app.store import (
    ACTIVE_STATES,
    Installation,
    Job,
    MapPoint,
    ModelVersion,
    Project,
    Round,
    RoundState,
    Score,
    Suggestion,
    Transfer,
    blobs,
)

# What one transaction takes: so much that it is quick, so little that nobody waits long.
_SLICES_AT_ONCE, _SUGGESTIONS_AT_ONCE, _REPORTS_AT_ONCE = 500, 50, 200
# How often bytes are asked for again that somebody else was keeping just then.
_TRIES = 5


class Kind(StrEnum):
    """What may be kept for some days alone."""

    MAPS = "maps"
    SCORES = SCORES
    SUGGESTIONS = SUGGESTIONS
    WEIGHTS = WEIGHTS
    REPORTS = "reports"


# How long each is kept; what is not named stays for ever.
Keep = Mapping[Kind, timedelta]
Step = Callable[[Session], bool]


@dataclass(frozen=True)
class Due:
    """What has been kept for long enough: of one round or model (its ``number``), so many rows."""

    kind: Kind
    rows: int
    project_id: int | None = None
    of: int | None = None
    number: int | None = None


def take_on(session: Session, now: datetime, every: timedelta) -> bool:
    """Whether it is this server's turn: one at a time takes it on, so often at most."""
    free = or_(Installation.retention_at.is_(None), Installation.retention_at <= now - every)
    taken = update(Installation).where(free).values(retention_at=now).returning(Installation.id)
    return session.scalar(taken) is not None


def due(session: Session, keep: Keep, now: datetime) -> list[Due]:
    """What would go now."""
    finders: Mapping[Kind, Callable[[Session, datetime], Iterator[Due]]] = {
        Kind.MAPS: _maps,
        Kind.SCORES: partial(_of_models, kind=Kind.SCORES),
        Kind.SUGGESTIONS: partial(_of_models, kind=Kind.SUGGESTIONS),
        Kind.WEIGHTS: _weights,
        Kind.REPORTS: _reports,
    }
    found = [finders[kind](session, now - kept) for kind, kept in keep.items()]
    return [one for some in found for one in some if one.rows]


def steps(one: Due, before: datetime, now: datetime) -> Iterator[Step]:
    """What removes it, each to be run in a transaction of its own until it returns False.

    ``before``: what is younger stays, should it have come to be used since.
    """
    hand: set[str] = set()
    if one.kind is not Kind.WEIGHTS:
        yield partial(_announce, one, now)
    if one.kind is Kind.MAPS:
        yield partial(_remove_map, one, now)
    elif one.kind is Kind.REPORTS:
        yield partial(_remove_reports, before)
    elif one.kind is Kind.WEIGHTS:
        yield partial(_remove_weights, one, before, now, hand)
    elif one.kind is Kind.SCORES:
        yield partial(_remove_scores, one)
    else:
        yield partial(_remove_suggestions, one, hand)
    for _ in range(_TRIES):
        if hand:
            yield partial(_forget, hand)


def _maps(session: Session, before: datetime) -> Iterator[Due]:
    rows = func.count(MapPoint.slice_id)
    query = (
        select(Round.project_id, Round.id, Round.number, rows)
        .join(MapPoint, MapPoint.round_id == Round.id)
        .where(Round.state == RoundState.CLOSED, Round.closed_at <= before)
        .group_by(Round.id)
        .order_by(Round.id)
    )
    for project_id, id_, number, count in session.execute(query):
        yield Due(Kind.MAPS, count, project_id, id_, number)


def _unused(session: Session, before: datetime) -> Iterator[ModelVersion]:
    """Models that no round needs since then, and nobody else: neither the current one of its
    project nor the newest, and of no job that goes on.
    """
    needed = (Round.state == RoundState.OPEN) | (Round.closed_at > before)
    going_on = exists().where(Job.id == ModelVersion.job_id, Job.state.in_(ACTIVE_STATES))
    query = select(ModelVersion).where(
        ModelVersion.created_at <= before,
        ~exists().where(Round.model_id == ModelVersion.id, needed),
        ~going_on,
    )
    for project_id in session.scalars(select(Project.id).order_by(Project.id)):
        of_project = query.where(ModelVersion.project_id == project_id)
        current = current_model(session, project_id)
        highest = select(func.max(ModelVersion.number)).where(ModelVersion.project_id == project_id)
        newest = session.scalar(highest)
        for model in session.scalars(of_project.order_by(ModelVersion.id)):
            if model.number != newest and (current is None or model.id != current.id):
                yield model


def _of_models(session: Session, before: datetime, kind: Kind) -> Iterator[Due]:
    table = Score if kind is Kind.SCORES else Suggestion
    for model in _unused(session, before):
        rows = traces.count(session, table, table.model_id == model.id)
        yield Due(kind, rows, model.project_id, model.id, model.number)


def _weights(session: Session, before: datetime) -> Iterator[Due]:
    best: dict[int, set[int]] = {}
    for model in _unused(session, before):
        # Whoever promoted it may want it again.
        if not model.weights_sha256 or model.promoted_at is not None:
            continue
        if model.project_id not in best:
            best[model.project_id] = _best(session, model.project_id)
        if model.id not in best[model.project_id]:
            yield Due(Kind.WEIGHTS, 1, model.project_id, model.id, model.number)


def _best(session: Session, project_id: int) -> set[int]:
    """The models with the highest Dice of a project, one on each set of cases measured on."""
    best: dict[str, tuple[float, int]] = {}
    of_project = ModelVersion.project_id == project_id, ModelVersion.weights_sha256 != ""
    for id_, scores in session.execute(
        select(ModelVersion.id, ModelVersion.scores).where(*of_project)
    ):
        on = measured_on(scores)
        dice = None if on is None else scores[on].get("dice_case")
        if on is not None and isinstance(dice, int | float):
            best[on] = max(best.get(on, (-1.0, 0)), (float(dice), id_))
    return {id_ for _, id_ in best.values()}


def _old_reports(before: datetime) -> ColumnElement[bool]:
    return Transfer.state.not_in(ACTIVE_STATES) & (Transfer.finished_at <= before)


def _reports(session: Session, before: datetime) -> Iterator[Due]:
    yield Due(Kind.REPORTS, traces.count(session, Transfer, _old_reports(before)))


def _announce(one: Due, now: datetime, session: Session) -> bool:
    """Note what goes, in the audit of its project or of the installation, and with its model."""
    of = {} if one.number is None else {"round" if one.kind is Kind.MAPS else "model": one.number}
    if one.project_id is None or session.get(Project, one.project_id) is not None:
        record(session, f"retention.{one.kind}", None, one.project_id, rows=one.rows, **of)
    if one.kind in (Kind.SCORES, Kind.SUGGESTIONS):
        model = session.get(ModelVersion, one.of, with_for_update=True)
        if model is not None:
            model.removed = {**model.removed, one.kind.value: now.isoformat()}
    return False


def _remove_map(one: Due, now: datetime, session: Session) -> bool:
    session.execute(delete(MapPoint).where(MapPoint.round_id == one.of))
    session.execute(update(Round).where(Round.id == one.of).values(map_removed_at=now))
    return False


def _remove_scores(one: Due, session: Session) -> bool:
    of_model = Score.model_id == one.of
    some = select(Score.slice_id).where(of_model).distinct().limit(_SLICES_AT_ONCE)
    slices = session.scalars(some).all()
    session.execute(delete(Score).where(of_model, Score.slice_id.in_(slices)))
    return len(slices) == _SLICES_AT_ONCE


def _remove_suggestions(one: Due, hand: set[str], session: Session) -> bool:
    some = select(Suggestion).where(Suggestion.model_id == one.of).limit(_SUGGESTIONS_AT_ONCE)
    found = session.scalars(some).all()
    hand |= {name for s in found for name in (s.mask_sha256, s.uncertainty_sha256)}
    slices = [s.slice_id for s in found]
    session.execute(
        delete(Suggestion).where(Suggestion.model_id == one.of, Suggestion.slice_id.in_(slices))
    )
    _forget(hand, session)
    return len(found) == _SUGGESTIONS_AT_ONCE


def _remove_weights(
    one: Due, before: datetime, now: datetime, hand: set[str], session: Session
) -> bool:
    """In one transaction with its entry, which keeps their digest; unless they are used again."""
    locked = select(ModelVersion).where(ModelVersion.id == one.of).with_for_update()
    model = session.scalar(locked.execution_options(populate_existing=True))
    if model is None or one.of not in {still.of for still in _weights(session, before)}:
        return False
    sha256 = model.weights_sha256
    detail = {"model": model.number, "sha256": sha256, "rows": 1}
    record(session, f"retention.{one.kind}", None, model.project_id, **detail)
    hand.add(sha256)
    model.weights_sha256 = ""
    model.removed = {**model.removed, WEIGHTS: now.isoformat()}
    session.flush()
    _forget(hand, session)
    return False


def _remove_reports(before: datetime, session: Session) -> bool:
    old = select(Transfer.id).where(_old_reports(before)).limit(_REPORTS_AT_ONCE)
    ids = session.scalars(old).all()
    session.execute(delete(Transfer).where(Transfer.id.in_(ids)))
    return len(ids) == _REPORTS_AT_ONCE


def _forget(hand: set[str], session: Session) -> bool:
    """Drop the bytes that no row names any more; what somebody else is keeping stays in hand."""
    left = blobs.forget(session, hand, partial(traces.in_use, session))
    hand.clear()
    hand |= left
    return False
