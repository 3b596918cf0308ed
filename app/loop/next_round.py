"""From a trained model to the next round: what is scored, what is chosen of it, what opens.

Each function here is one step's reading or one step's single guarded transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from app.core.blob import Blob
from app.core.project_settings import job_query_settings
from app.core.splits import Split
from app.loop import claims
from app.loop.batches import add_items, anything_to_ask, ask_again, selectable, unlabelled_pool
from app.loop.claims import Claim
from app.loop.rounds import close_round, open_round, start_round
from app.loop.slices import still_there
from app.store import (
    Job,
    Label,
    Mask,
    ModelVersion,
    Project,
    Round,
    Score,
    Slice,
    SliceFeatures,
    Suggestion,
    blobs,
)


def shards(
    session: Session, project_id: int, model_id: int, size: int, common: dict[str, Any]
) -> list[dict[str, Any]]:
    """The unanswered pool in shares of ``size`` slices each: payloads of their jobs."""
    ids = list(session.scalars(unlabelled_pool(session.get_one(Project, project_id))))
    cuts = [ids[i : i + size] for i in range(0, len(ids), size)]
    return [{"model": model_id, "slices": cut, **common} for cut in cuts]


def slices_of(session: Session, project: Project, payload: dict[str, Any]) -> list[int]:
    """The slices of a shard; those of jobs of earlier versions are a range of the pool."""
    if "slices" in payload:
        return list(payload["slices"])
    within = Slice.id.between(payload["first"], payload["last"])
    return list(session.scalars(unlabelled_pool(project).where(within)))


def save_scores(
    session: Session,
    held: Claim,
    scores: Sequence[dict[str, Any]],
    features: Sequence[dict[str, Any]],
) -> None:
    """Keep scores by (model, slice, measure) and features by (model, slice), replacing what a
    lost attempt left. Slices that were deleted meanwhile are left out.
    """
    claims.hold(session, held)
    there = still_there(session, {row["slice_id"] for row in (*scores, *features)})
    tables: tuple[tuple[type[Score | SliceFeatures], Sequence[dict[str, Any]]], ...] = (
        (Score, scores),
        (SliceFeatures, features),
    )
    for table, all_rows in tables:
        rows = [row for row in all_rows if row["slice_id"] in there]
        if not rows:
            continue
        slice_ids = {row["slice_id"] for row in rows}
        session.execute(
            delete(table).where(
                table.model_id == rows[0]["model_id"], table.slice_id.in_(slice_ids)
            )
        )
        session.execute(insert(table), rows)


@dataclass(frozen=True)
class Scored:
    """What a model says of a slice: its sums, its case, predicted foreground, features."""

    score: Score
    case_id: int
    foreground_pixels: int | None
    features: bytes | None


def scores_of(
    session: Session, model_id: int, measure: str, slice_ids: Sequence[int]
) -> list[Scored]:
    """One measure's scores of the slices that have one, in the order of the ids."""
    wanted = set(slice_ids)
    query = (
        select(Score, Slice.case_id, SliceFeatures.foreground_pixels, SliceFeatures.features)
        .join(Slice, Slice.id == Score.slice_id)
        .outerjoin(
            SliceFeatures,
            (SliceFeatures.model_id == Score.model_id) & (SliceFeatures.slice_id == Score.slice_id),
        )
        .where(Score.model_id == model_id, Score.measure == measure)
        .order_by(Score.slice_id)
    )
    return [Scored(*row) for row in session.execute(query) if row[0].slice_id in wanted]


def labelled_foreground(session: Session, project_id: int) -> int:
    """Foreground pixels in all labels of the pool: 0 while no target has been found."""
    query = (
        select(func.coalesce(func.sum(Mask.foreground_pixels), 0))
        .join(Label, Label.mask_id == Mask.id)
        .join(Slice, Slice.id == Label.slice_id)
        .where(Slice.project_id == project_id, Slice.split == Split.POOL)
    )
    return int(session.scalar(query) or 0)


def labelled_pool(session: Session, project_id: int) -> list[int]:
    """The pool's slices that have a label, whether they train or are held out."""
    query = (
        select(Slice.id)
        .join(Label, Label.slice_id == Slice.id)
        .where(Slice.project_id == project_id, Slice.split == Split.POOL, Slice.complete.is_(True))
        .order_by(Slice.id)
    )
    return list(session.scalars(query))


def model_made_after(session: Session, model_id: int, slice_ids: Sequence[int]) -> bool:
    """Whether any of the slices was there when the model was made, and so should be scored."""
    made = session.get_one(ModelVersion, model_id).created_at
    first = select(func.min(Slice.created_at)).where(Slice.id >= min(slice_ids))
    earliest = session.scalar(first.where(Slice.id <= max(slice_ids)))
    return earliest is not None and earliest < made


def share_labelled(session: Session, project_id: int) -> float:
    """The share of the pool that is labelled."""
    total, labelled = session.execute(
        select(func.count(Slice.id), func.count(Label.slice_id))
        .outerjoin(Label, Label.slice_id == Slice.id)
        .where(Slice.project_id == project_id, Slice.split == Split.POOL)
    ).one()
    return float(labelled / total) if total else 0.0


@dataclass(frozen=True)
class Chosen:
    """One slice of the coming batch, with the model's mask and uncertainty map as PNG."""

    slice_id: int
    stream: str
    score: float | None
    mask: Blob
    uncertainty: Blob


@dataclass(frozen=True)
class Selection:
    """What a job has chosen, and what is known of it.

    ``features``: rows of the labelled slices', for the map of the pool; ``nearest``: mean distance
    of the batch to its nearest labelled neighbours; ``exploring``: why the batch was drawn for
    variety.
    """

    seed: int
    chosen: Sequence[Chosen]
    features: Sequence[dict[str, Any]] = ()
    nearest: float | None = None
    exploring: str | None = None


def open_next_round(
    session: Session,
    held: Claim,
    model_id: int,
    selection: Selection,
    notes: Mapping[str, Any] | None = None,
) -> Round | None:
    """Close the round and open the next with its suggestions, and end the job. One transaction.

    Returns None when nothing was left to choose: the loop has come to its end. Slices that
    were answered or deleted since they were chosen are left out. ``notes`` go with the job, for
    the record. Raises ``ClaimLost``.
    """
    job = claims.hold(session, held)
    project = session.get_one(Project, job.project_id)
    last = open_round(session, project)
    still = set(selectable(session, project))
    chosen = [c for c in selection.chosen if c.slice_id in still]
    round_ = None
    if chosen:
        settings = job_query_settings(held.payload, project)
        round_ = start_round(session, project, model_id, settings, selection.seed)
        round_.nearest, round_.exploring = selection.nearest, selection.exploring
        _add_chosen(session, round_, model_id, chosen)
        ask_again(session, round_)
        _add_features(session, model_id, selection.features)
    elif not anything_to_ask(session, project) or selectable(session, project):
        close_round(session, last)
    _forget_features(session, project.id, model_id)
    claims.finish(
        session,
        held,
        **(notes or {}),
        machines=_machines(session, held.job_id),
        round=round_.number if round_ else None,
        exploring=selection.exploring,
    )
    return round_


def _add_features(session: Session, model_id: int, rows: Sequence[dict[str, Any]]) -> None:
    """Keep features of labelled slices; those answered since the scoring began have theirs."""
    of_model = select(SliceFeatures.slice_id).where(SliceFeatures.model_id == model_id)
    known = set(session.scalars(of_model))
    there = still_there(session, {row["slice_id"] for row in rows}) - known
    fresh = [{**row, "foreground_pixels": None} for row in rows if row["slice_id"] in there]
    if fresh:
        session.execute(insert(SliceFeatures), fresh)


def _machines(session: Session, job_id: int) -> list[str]:
    """What scored the pool: more than one word where workers compute in different ways."""
    shards = session.scalars(select(Job.progress).where(Job.parent_id == job_id))
    return sorted({shard["machine"] for shard in shards if "machine" in shard})


def _forget_features(session: Session, project_id: int, but: int) -> None:
    """Features are large and nobody asks for those of an older model again."""
    older = select(ModelVersion.id).where(
        ModelVersion.project_id == project_id, ModelVersion.id != but
    )
    session.execute(delete(SliceFeatures).where(SliceFeatures.model_id.in_(older)))


def _add_chosen(session: Session, round_: Round, model_id: int, chosen: Sequence[Chosen]) -> None:
    slice_ids = [c.slice_id for c in chosen]
    session.execute(
        delete(Suggestion).where(
            Suggestion.model_id == model_id, Suggestion.slice_id.in_(slice_ids)
        )
    )
    blobs.put(session, *(blob for c in chosen for blob in (c.mask, c.uncertainty)))
    add_items(session, round_, [(c.slice_id, c.stream, c.score) for c in chosen])
    session.add_all(
        Suggestion(
            model_id=model_id,
            slice_id=c.slice_id,
            mask_sha256=c.mask.sha256,
            uncertainty_sha256=c.uncertainty.sha256,
        )
        for c in chosen
    )
