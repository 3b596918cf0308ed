"""Rounds and models: the history of the loop."""

from typing import Any

from fastapi import APIRouter, Response

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Annotator,
    Cursor,
    Limit,
    NamedProject,
    Reading,
)
from app.api.images import Id
from app.api.schemas import ModelOut, Page, RoundItemOut, RoundOut, as_page
from app.loop import progress

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


@router.get(
    "/models/{model_id}/weights",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def weights(model_id: Id, session: Reading, reader: Annotator) -> Response:
    """A model's weights as safetensors."""
    model = progress.find_model(session, model_id)
    return Response(
        model.weights,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="model-{model.number}.safetensors"'},
    )
