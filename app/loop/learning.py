"""What a retraining reads and leaves: the training set, the model, the scores, the next round.

Each function here is one step's reading or one step's single guarded transaction.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, exists, func, insert, null, select
from sqlalchemy.orm import Session

from app.loop import jobs
from app.loop.jobs import Claim
from app.loop.options import query_settings, training_settings
from app.loop.rounds import answered, close_round, open_round, start_round
from app.store import (
    Case,
    Label,
    Lease,
    Mask,
    ModelVersion,
    Project,
    QueryItem,
    Round,
    Score,
    Slice,
    SliceImage,
    Split,
    Stream,
    Suggestion,
    Truth,
    utc_now,
)
from app.store.pixels import Pixels, decode

# Slices whose pixels are read at once: bounds memory, whatever the size of the pool.
_PAGE = 64


@dataclass(frozen=True)
class CaseMoments:
    """Mean and standard deviation of a whole case's stored intensities."""

    mean: float
    std: float


@dataclass(frozen=True)
class LoadedSlice:
    """A slice with its pixels: image (H, W) uint8 or uint16, classes (H, W) or None."""

    slice_id: int
    case: str
    index: int
    image: Pixels
    moments: CaseMoments
    classes: Pixels | None = None


@dataclass(frozen=True)
class LabelledSlices:
    """The ids of labelled slices by use, and which validation it is.

    ``validation_kind`` is ``validation`` for the split of that name, ``held-out`` for a seeded
    fifth of the labelled pool cases, ``none`` when a single case is labelled.
    """

    training: list[int]
    validation: list[int]
    test: list[int]
    mask_ids: list[int]
    validation_kind: str


def labelled_slices(session: Session, project: Project) -> LabelledSlices:
    """Divide what is labelled. Test slices are named apart: they touch nothing but the Dice."""
    settings = training_settings(project)
    rows = session.execute(
        select(Slice.id, Slice.split, Case.name, Label.mask_id)
        .join(Label, Label.slice_id == Slice.id)
        .join(Case, Case.id == Slice.case_id)
        .where(Slice.project_id == project.id)
        .order_by(Slice.id)
    ).all()
    pool = [r for r in rows if r.split is Split.POOL]
    validation = [r.id for r in rows if r.split is Split.VALIDATION]
    kind = "validation"
    held_out: set[str] = set()
    if len(validation) < settings.min_validation_slices:
        held_out = held_out_cases({r.name for r in pool}, settings.seed)
        validation = [r.id for r in pool if r.name in held_out]
        kind = "held-out" if held_out else "none"
    training = [r for r in pool if r.name not in held_out]
    return LabelledSlices(
        training=[r.id for r in training],
        validation=validation,
        test=[r.id for r in rows if r.split is Split.TEST],
        mask_ids=[r.mask_id for r in training],
        validation_kind=kind,
    )


def held_out_cases(cases: set[str], seed: int) -> set[str]:
    """A seeded fifth of the cases, at least one of two or more.

    Ordered by a hash of the name, so that a case that is held out tends to stay so as others
    come, and Dice values of successive rounds are of much the same cases.
    """
    ordered = sorted(cases, key=lambda c: hashlib.sha256(f"{seed}/{c}".encode()).digest())
    return set(ordered[: max(1, len(ordered) // 5)]) if len(ordered) > 1 else set()


def load_slices(
    session: Session, slice_ids: Sequence[int], with_labels: bool = False
) -> Iterator[LoadedSlice]:
    """The slices of these ids in this order, their pixels read a page at a time."""
    moments: dict[int, CaseMoments] = {}
    for start in range(0, len(slice_ids), _PAGE):
        page = slice_ids[start : start + _PAGE]
        columns = select(Slice, Case.name, SliceImage.png, Mask.png if with_labels else null())
        query = (
            columns.join(Case, Case.id == Slice.case_id)
            .join(SliceImage, SliceImage.slice_id == Slice.id)
            .where(Slice.id.in_(page))
        )
        if with_labels:
            query = query.join(Label, Label.slice_id == Slice.id).join(
                Mask, Mask.id == Label.mask_id
            )
        rows = {row[0].id: row for row in session.execute(query)}
        _add_moments(session, moments, {row[0].case_id for row in rows.values()})
        for slice_id in page:
            slice_, case, image, mask = rows[slice_id]
            yield LoadedSlice(
                slice_id=slice_id,
                case=case,
                index=slice_.index,
                image=decode(image),
                moments=moments[slice_.case_id],
                classes=decode(mask) if mask is not None else None,
            )


def _add_moments(session: Session, known: dict[int, CaseMoments], cases: set[int]) -> None:
    query = (
        select(Slice.case_id, func.avg(Slice.mean), func.avg(Slice.mean_square))
        .where(Slice.case_id.in_(cases - known.keys()))
        .group_by(Slice.case_id)
    )
    for case_id, mean, mean_square in session.execute(query):
        known[case_id] = CaseMoments(mean, max(mean_square - mean * mean, 0.0) ** 0.5)


def pool_to_score(session: Session, project_id: int, first: int, last: int) -> list[int]:
    """The ids of the unanswered pool between two ids, both included, in order of their cases."""
    query = (
        select(Slice.id)
        .where(
            Slice.project_id == project_id,
            Slice.split == Split.POOL,
            Slice.set_aside.is_(False),
            Slice.id.between(first, last),
            ~answered(Slice.id.expression),
        )
        .order_by(Slice.id)
    )
    return list(session.scalars(query))


def shards(session: Session, project_id: int, model_id: int, size: int) -> list[dict[str, Any]]:
    """The unanswered pool cut into ranges of ids, ``size`` slices each."""
    ids = pool_to_score(session, project_id, 0, 2**31 - 1)
    cuts = [ids[i : i + size] for i in range(0, len(ids), size)]
    return [{"model": model_id, "first": cut[0], "last": cut[-1]} for cut in cuts]


def last_model(session: Session, project_id: int) -> ModelVersion | None:
    """The project's newest model."""
    return session.scalar(
        select(ModelVersion)
        .where(ModelVersion.project_id == project_id)
        .order_by(ModelVersion.number.desc())
        .limit(1)
    )


def model_of_job(session: Session, job_id: int) -> ModelVersion | None:
    """The model that a job has trained already, in this or an earlier attempt."""
    return session.scalar(select(ModelVersion).where(ModelVersion.job_id == job_id))


def save_model(session: Session, held: Claim, model: ModelVersion) -> ModelVersion:
    """Keep a trained model under the next number. Raises ``ClaimLost``."""
    jobs.hold(session, held)
    highest = session.scalar(
        select(func.max(ModelVersion.number)).where(ModelVersion.project_id == model.project_id)
    )
    model.number = (highest or 0) + 1
    session.add(model)
    session.flush()
    return model


def save_scores(session: Session, held: Claim, scores: Iterable[dict[str, Any]]) -> None:
    """Keep scores by (model, slice, measure), replacing what a lost attempt left."""
    jobs.hold(session, held)
    rows = list(scores)
    if not rows:
        return
    session.execute(
        delete(Score).where(
            Score.model_id == rows[0]["model_id"],
            Score.slice_id.in_({row["slice_id"] for row in rows}),
        )
    )
    session.execute(insert(Score), rows)


def selectable(session: Session, project: Project) -> list[int]:
    """The slices that the next batch may hold: unanswered, and in nobody's hands."""
    query = (
        select(Slice.id)
        .where(
            Slice.project_id == project.id,
            Slice.split == Split.POOL,
            Slice.set_aside.is_(False),
            ~answered(Slice.id.expression),
            ~exists().where(
                Lease.slice_id == Slice.id,
                Lease.ended_at.is_(None),
                Lease.expires_at > utc_now(),
            ),
        )
        .order_by(Slice.id)
    )
    return list(session.scalars(query))


def scores_of(
    session: Session, model_id: int, measure: str, slice_ids: Sequence[int]
) -> list[Score]:
    """One measure's scores of the slices that have one, in the order of the ids."""
    wanted = set(slice_ids)
    query = (
        select(Score)
        .where(Score.model_id == model_id, Score.measure == measure)
        .order_by(Score.slice_id)
    )
    return [score for score in session.scalars(query) if score.slice_id in wanted]


@dataclass(frozen=True)
class Chosen:
    """One slice of the coming batch, with the model's mask and uncertainty map as PNG."""

    slice_id: int
    stream: Stream
    score: float | None
    mask_png: bytes
    uncertainty_png: bytes


def open_next_round(
    session: Session, held: Claim, model_id: int, seed: int, chosen: Sequence[Chosen]
) -> Round | None:
    """Close the round and open the next with its suggestions, and end the job. One transaction.

    Returns None when nothing was left to choose: the loop has come to its end. Slices that
    were answered since they were chosen are left out. Raises ``ClaimLost``.
    """
    job = jobs.hold(session, held)
    project = session.get_one(Project, job.project_id)
    last = open_round(session, project)
    still = set(selectable(session, project))
    chosen = [c for c in chosen if c.slice_id in still]
    round_ = None
    if chosen:
        strategy = query_settings(project).strategy
        round_ = start_round(session, project, model_id, strategy, seed)
        _add_items(session, round_.id, model_id, chosen)
    else:
        close_round(session, last)
    jobs.finish(session, held, round=round_.number if round_ else None)
    return round_


def _add_items(session: Session, round_id: int, model_id: int, chosen: Sequence[Chosen]) -> None:
    slice_ids = [c.slice_id for c in chosen]
    session.execute(
        delete(Suggestion).where(
            Suggestion.model_id == model_id, Suggestion.slice_id.in_(slice_ids)
        )
    )
    for rank, c in enumerate(chosen, start=1):
        session.add(
            QueryItem(
                round_id=round_id,
                slice_id=c.slice_id,
                rank=rank,
                stream=c.stream,
                score=c.score,
            )
        )
        session.add(
            Suggestion(
                model_id=model_id,
                slice_id=c.slice_id,
                mask_png=c.mask_png,
                uncertainty_png=c.uncertainty_png,
            )
        )
    session.flush()


def truths(session: Session, project_id: int) -> dict[int, bytes]:
    """The hidden masks by slice, as PNG, for the simulated oracle alone."""
    query = (
        select(Truth.slice_id, Truth.png)
        .join(Slice, Slice.id == Truth.slice_id)
        .where(Slice.project_id == project_id)
    )
    return {slice_id: png for slice_id, png in session.execute(query)}
