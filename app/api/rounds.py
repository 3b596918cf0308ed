"""Rounds and models: the history of the loop."""

from typing import Any

from fastapi import APIRouter, Response

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Admin,
    Annotator,
    Cursor,
    Limit,
    NamedProject,
    Reading,
    Reviewer,
    Writing,
)
from app.api.images import Id
from app.api.schemas import MapOut, ModelOut, Page, RoundItemOut, RoundOut, TrainingMaskOut, as_page
from app.loop import learning, progress

router = APIRouter(tags=["rounds"])


@router.get("/rounds", response_model=Page[RoundOut])
def list_rounds(
    session: Reading,
    reader: Annotator,
    project: NamedProject,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Any:
    """The rounds of a project with their settings, seeds and counts of labels."""
    return as_page(progress.list_rounds(session, project, cursor, limit))


@router.get("/rounds/{round_id}/items", response_model=Page[RoundItemOut])
def list_items(
    round_id: Id,
    session: Reading,
    reader: Annotator,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Any:
    """A round's batch in rank order: why each slice was asked for, and its mask."""
    return as_page(progress.round_items(session, round_id, cursor, limit))


@router.get("/rounds/{round_id}/map", response_model=MapOut)
def show_map(round_id: Id, session: Reading, reader: Annotator) -> dict[str, Any]:
    """The pool in the plane (t-SNE of the model's features), by state and by what asked for it.

    Empty for the first round, which has no model, and for strategies that score nothing.
    """
    return progress.round_map(session, round_id)


@router.get("/models", response_model=Page[ModelOut])
def list_models(
    session: Reading,
    reader: Annotator,
    project: NamedProject,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Any:
    """The models of a project: parent, training masks, Dice."""
    return as_page(progress.list_models(session, project, cursor, limit))


@router.get("/models/{model_id}/masks", response_model=Page[TrainingMaskOut])
def list_training_masks(
    model_id: Id,
    session: Reading,
    reviewer: Reviewer,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Any:
    """The masks that a model was trained on: of which slices, and by whom."""
    return as_page(progress.training_masks(session, model_id, cursor, limit))


@router.get(
    "/models/{model_id}/weights",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def weights(model_id: Id, session: Reading, reader: Annotator) -> Response:
    """A model's weights as safetensors."""
    model = learning.find_model(session, model_id)
    return Response(
        model.weights,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="model-{model.number}.safetensors"'},
    )


@router.post("/models/{model_id}/promote", response_model=ModelOut)
def promote(model_id: Id, session: Writing, admin: Admin) -> dict[str, Any]:
    """Make a model the current one, as after a round that went wrong.

    Exports hold it, and the next training starts from its weights.
    """
    return progress.model_view(learning.promote(session, model_id, admin))
