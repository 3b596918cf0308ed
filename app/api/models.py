"""Models: what each learned from, its weights, and which is the current one."""

from fastapi import Response

from app.api.dependencies import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    Looks,
    NamedProject,
    Reading,
    SignedIn,
    Writing,
)
from app.api.images import Id
from app.api.limits import Router
from app.api.schemas.base import Page, page_of
from app.api.schemas.rounds import ModelOut, TrainingMaskOut
from app.loop import models
from app.seen import WEIGHTS
from app.store import Role

router = Router(tags=["rounds"])


@router.get("/models")
def list_models(
    session: Reading,
    viewer: SignedIn,
    project: NamedProject,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ModelOut]:
    """The models of a project: parent, training masks, Dice."""
    return page_of(ModelOut, models.list_models(session, project, cursor, limit))


@router.get("/models/{model_id}/masks")
def list_training_masks(
    model_id: Id,
    session: Reading,
    reviewer: SignedIn,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[TrainingMaskOut]:
    """The masks that a model was trained on: of which slices, and by whom."""
    return page_of(
        TrainingMaskOut, models.training_masks(session, reviewer, model_id, cursor, limit)
    )


@router.get(
    "/models/{model_id}/weights",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def weights(model_id: Id, session: Reading, viewer: SignedIn, looks: Looks) -> Response:
    """A model's weights as safetensors."""
    model = models.find_model(session, viewer, model_id, Role.VIEWER)
    looks.note(WEIGHTS, viewer, model_id)
    return Response(
        models.weights_of(session, model),
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="model-{model.number}.safetensors"'},
    )


@router.post("/models/{model_id}/promote")
def promote(model_id: Id, session: Writing, admin: SignedIn) -> ModelOut:
    """Make a model the current one, as after a round that went wrong.

    Exports hold it, and the next training starts from its weights.
    """
    promoted = models.promote(session, admin, model_id)
    return ModelOut.model_validate(models.view_of(promoted))
