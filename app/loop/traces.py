"""Every place where something of a slice, a mask or a project is kept: what a deletion empties.

A table that is new belongs into one of these lists; a test holds them against the schema.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    except_,
    func,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.core.blob import digest
from app.core.model_scores import names_case, without_case
from app.loop.audit_chain import EMPTIED
from app.store import (
    Agreement,
    Base,
    Case,
    CheckpointPart,
    Delivery,
    Event,
    Hook,
    Image,
    Label,
    Lease,
    MapPoint,
    Mask,
    Member,
    ModelVersion,
    QueryItem,
    Review,
    Round,
    Score,
    SignIn,
    Slice,
    SliceFeatures,
    Suggestion,
    Token,
    Truth,
)

Column = InstrumentedAttribute[Any]
# Columns that name a mask; then a slice; then a project: in an order in which rows can go.
OF_MASKS: tuple[Column, ...] = (
    Agreement.mask_id,
    Agreement.other_id,
    Review.mask_id,
    Label.mask_id,
)
OF_SLICES: tuple[Column, ...] = (
    Label.slice_id,
    Mask.slice_id,
    Truth.slice_id,
    Suggestion.slice_id,
    Score.slice_id,
    SliceFeatures.slice_id,
    MapPoint.slice_id,
    QueryItem.slice_id,
    Lease.slice_id,
    Image.slice_id,
)
# Of a project without slices. Models go after, a few at a time, as their weights are large; then
# jobs, that made them.
OF_PROJECTS: tuple[Column, ...] = (
    Delivery.project_id,
    Hook.project_id,
    Round.project_id,
    Case.project_id,
)
# Who may get at a project goes last: until then its admin can go on deleting it.
OF_ACCESS: tuple[Column, ...] = (Member.project_id, Token.project_id)
# Of jobs beside models: what a training has learned so far; a few at a time, as models are.
OF_JOBS: tuple[Column, ...] = (CheckpointPart.job_id,)
# Columns that name bytes among the blobs; those of slices first.
BLOBS_OF_SLICES: tuple[tuple[Column, Column], ...] = (
    (Image.sha256, Image.slice_id),
    (Mask.sha256, Mask.slice_id),
    (Truth.sha256, Truth.slice_id),
    (Suggestion.mask_sha256, Suggestion.slice_id),
    (Suggestion.uncertainty_sha256, Suggestion.slice_id),
)
BLOBS_OF_MODELS = ModelVersion.weights_sha256
BLOBS: tuple[Column, ...] = (*(column for column, _ in BLOBS_OF_SLICES), BLOBS_OF_MODELS)
# Entries that say what was deleted, and so stay as they are.
DELETIONS = ("slice.delete", "case.delete", "project.delete")


def count_rows(session: Session, slices: Select[Any]) -> dict[str, int]:
    """How many rows of each table are of these slices (their ids), by the table's name."""
    masks = select(Mask.id).where(Mask.slice_id.in_(slices))
    counts = {"slices": count(session, Slice, Slice.id.in_(slices))}
    for column in OF_SLICES:
        counts[column.class_.__tablename__] = count(session, column.class_, column.in_(slices))
    kinds: tuple[type[Base], ...] = (Agreement, Review)
    for kind in kinds:
        of_kind = [column.in_(masks) for column in OF_MASKS if column.class_ is kind]
        counts[kind.__tablename__] = count(session, kind, or_(*of_kind))
    return counts


def count(session: Session, table: Any, which: ColumnElement[bool]) -> int:
    """How many rows of a table."""
    return session.scalar(select(func.count()).select_from(table).where(which)) or 0


def delete_slices(session: Session, ids: Sequence[int]) -> set[str]:
    """Delete slices with all that refers to them; returns the names of bytes they referred to."""
    masks = list(session.scalars(select(Mask.id).where(Mask.slice_id.in_(ids))))
    names = blob_names(session, ids)
    for column in OF_MASKS:
        session.execute(delete(column.class_).where(column.in_(masks)))
    for column in OF_SLICES:
        session.execute(delete(column.class_).where(column.in_(ids)))
    session.execute(delete(Slice).where(Slice.id.in_(ids)))
    return names


def delete_access(session: Session, project_id: int) -> None:
    """Delete a project's members, and the tokens that are good for it alone."""
    tokens = select(Token.id).where(Token.project_id == project_id)
    session.execute(delete(SignIn).where(SignIn.token_id.in_(tokens)))
    for column in OF_ACCESS:
        session.execute(delete(column.class_).where(column == project_id))


def forget_in_scores(session: Session, project_id: int, case: str) -> None:
    """Take a case out of what is kept of it with models."""
    of_project = select(ModelVersion).where(ModelVersion.project_id == project_id)
    for model in session.scalars(of_project):
        if names_case(model.scores, case):
            model.scores = without_case(model.scores, case)


def blob_names(session: Session, slices: Sequence[int] | Select[Any]) -> set[str]:
    """The names of all bytes that slices refer to."""
    return {
        name
        for column, of_slice in BLOBS_OF_SLICES
        for name in session.scalars(select(column).where(of_slice.in_(slices)).distinct())
    }


def only_of(session: Session, slices: Select[Any]) -> set[str]:
    """The names of bytes that these slices refer to, and nothing else."""
    inside = union(*(select(c).where(of.in_(slices)) for c, of in BLOBS_OF_SLICES)).subquery()
    outside = [select(c).where(of.not_in(slices)) for c, of in BLOBS_OF_SLICES]
    outside.append(select(BLOBS_OF_MODELS))
    return set(session.scalars(except_(select(inside.c[0]), *outside)))


def in_use(session: Session, names: Collection[str]) -> set[str]:
    """Of some names of bytes, those that a row refers to."""
    return {
        name
        for column in BLOBS
        for name in session.scalars(select(column).where(column.in_(names)).distinct())
    }


def entries_of(
    project_id: int, slices: Iterable[int] | Select[Any], masks: Iterable[int] | Select[Any]
) -> ColumnElement[bool]:
    """SQL: the audit entries that concern slices or masks, and still say what."""
    return (
        (Event.project_id == project_id)
        & Event.action.not_in(DELETIONS)
        & or_(
            Event.detail["slice"].as_integer().in_(slices),
            Event.detail["mask"].as_integer().in_(masks),
        )
    )


def entries_of_project(project_id: int) -> ColumnElement[bool]:
    """SQL: a project's audit entries that still say what, but those of what was deleted."""
    return and_(
        Event.project_id == project_id,
        Event.action.not_in(DELETIONS),
        Event.detail[EMPTIED].as_string().is_(None),
    )


def empty_entries(session: Session, which: ColumnElement[bool], most: int) -> int:
    """Empty the details of audit entries, so many at most; the digest of what each said stays in
    its place. Returns how many it were.
    """
    found = session.execute(select(Event.id, Event.detail).where(which).limit(most)).all()
    emptied = [
        {"id": id_, "detail": {EMPTIED: digest(_canonical(detail))}} for id_, detail in found
    ]
    if emptied:
        session.execute(update(Event), emptied)
    return len(emptied)


def _canonical(detail: dict[str, Any]) -> bytes:
    return json.dumps(detail, sort_keys=True, separators=(",", ":")).encode()
