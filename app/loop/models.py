"""Trained models: which is the current one, what each learned from, and their weights."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from app.core.blob import Blob
from app.core.errors import NotFound, Removed
from app.loop import claims
from app.loop.access import Reader, allow
from app.loop.audit import record
from app.loop.claims import Claim
from app.loop.deliveries import announce
from app.loop.paging import Page, page_of, paginate
from app.store import (
    Case,
    HookEvent,
    Mask,
    ModelVersion,
    Project,
    Role,
    Slice,
    blobs,
    database_now,
)

# What of a model may be kept for some days alone, as ``ModelVersion.removed`` calls it.
SCORES, SUGGESTIONS, WEIGHTS = "scores", "suggestions", "weights"


def current_model(session: Session, project_id: int) -> ModelVersion | None:
    """The project's model: the one that was made or promoted last, and was not held back."""
    return session.scalar(
        select(ModelVersion)
        .where(
            ModelVersion.project_id == project_id,
            ModelVersion.held_back.is_(None) | ModelVersion.promoted_at.is_not(None),
        )
        .order_by(
            func.coalesce(ModelVersion.promoted_at, ModelVersion.created_at).desc(),
            ModelVersion.number.desc(),
        )
        .limit(1)
    )


def next_model_number(session: Session, project_id: int) -> int:
    """The number that the project's next model gets."""
    of_project = ModelVersion.project_id == project_id
    return (session.scalar(select(func.max(ModelVersion.number)).where(of_project)) or 0) + 1


def promote(session: Session, reader: Reader, model_id: int) -> ModelVersion:
    """Make a model the current one: exports hold it, and the next training starts from it.

    Raises ``NotFound``, ``NotAllowed``, ``Removed``.
    """
    model, by = find_model(session, reader, model_id, Role.ADMIN), reader.account
    # Its weights may just be going.
    session.refresh(model, with_for_update=True)
    if not model.weights_sha256:
        raise Removed(_without_weights(model))
    model.promoted_at = database_now(session)
    record(session, "model.promote", by, model.project_id, model=model.id, number=model.number)
    return model


def find_model(session: Session, reader: Reader, model_id: int, role: Role) -> ModelVersion:
    """The model of that id, in whose project the reader's role includes ``role``.

    Raises ``NotFound``, ``NotAllowed``.
    """
    model, missing = session.get(ModelVersion, model_id), f"there is no model {model_id}"
    if model is None:
        raise NotFound(missing)
    allow(session, reader, model.project_id, role, missing)
    return model


def model_of_job(session: Session, job_id: int) -> ModelVersion | None:
    """The model that a job has trained already, in this or an earlier attempt."""
    return session.scalar(select(ModelVersion).where(ModelVersion.job_id == job_id))


def save_model(session: Session, held: Claim, model: ModelVersion, weights: Blob) -> ModelVersion:
    """Keep a trained model and its weights under the next number. Raises ``ClaimLost``."""
    claims.hold(session, held)
    blobs.put(session, weights)
    model.number = next_model_number(session, model.project_id)
    model.weights_sha256 = weights.sha256
    session.add(model)
    session.flush()
    _announce(session, model)
    return model


def _without_weights(model: ModelVersion) -> str:
    return (
        f"the weights of model {model.number} were removed on {model.removed.get(WEIGHTS, '')[:10]}"
        ", as this installation keeps those of models that nobody uses for some days alone; what "
        "it was trained on and came to is still there"
    )


def _announce(session: Session, model: ModelVersion) -> None:
    event = HookEvent.MODEL_MADE if model.held_back is None else HookEvent.MODEL_HELD_BACK
    current = current_model(session, model.project_id)
    announce(
        session,
        model.project_id,
        event,
        model=model.id,
        number=model.number,
        job=model.job_id,
        masks=len(model.mask_ids),
        seconds=model.seconds,
        current=current.id if current else None,
    )


def weights_of(session: Session, model: ModelVersion) -> bytes:
    """A model's weights as safetensors. Raises ``Removed``."""
    if not model.weights_sha256:
        raise Removed(_without_weights(model))
    return blobs.get(session, model.weights_sha256)


@dataclass(frozen=True)
class ModelView:
    """A model without its weights."""

    id: int
    number: int
    parent: int | None
    job: int
    architecture: dict[str, Any]
    training_masks: list[int]
    scores: dict[str, Any]
    seed: int
    seconds: float
    created_at: datetime
    promoted_at: datetime | None
    held_back: str | None
    removed: dict[str, Any]


def view_of(model: ModelVersion) -> ModelView:
    """A model as it is shown."""
    return ModelView(
        id=model.id,
        number=model.number,
        parent=model.parent_id,
        job=model.job_id,
        architecture=model.architecture,
        training_masks=model.mask_ids,
        scores=model.scores,
        seed=model.seed,
        seconds=model.seconds,
        created_at=model.created_at,
        promoted_at=model.promoted_at,
        held_back=model.held_back,
        removed=model.removed,
    )


def list_models(
    session: Session, project: Project, cursor: int | None, limit: int
) -> Page[ModelView]:
    """A page of the project's models."""
    query = select(ModelVersion).where(ModelVersion.project_id == project.id)
    return paginate(session, query, ModelVersion.id, cursor, limit, view_of)


@dataclass(frozen=True)
class TrainingMask:
    """A mask that a model was trained on."""

    mask: int
    slice: int
    case: str
    index: int
    author: str
    foreground_pixels: int


def training_masks(
    session: Session, reader: Reader, model_id: int, cursor: int | None, limit: int
) -> Page[TrainingMask]:
    """A page of the masks that a model was trained on. Raises ``NotFound``, ``NotAllowed``."""
    model = find_model(session, reader, model_id, Role.REVIEWER)
    ids = sorted(id_ for id_ in model.mask_ids if id_ > (cursor or 0))
    rows = session.execute(
        select(Mask, Case.name, Slice.index)
        .join(Slice, Slice.id == Mask.slice_id)
        .join(Case, Case.id == Slice.case_id)
        .where(Mask.id.in_(ids[: limit + 1]))
        .options(joinedload(Mask.author))
        .order_by(Mask.id)
    ).all()
    return page_of(
        rows,
        limit,
        key=lambda row: row[0].id,
        view=lambda row: TrainingMask(
            mask=row[0].id,
            slice=row[0].slice_id,
            case=row[1],
            index=row[2],
            author=row[0].author.name,
            foreground_pixels=row[0].foreground_pixels,
        ),
    )
