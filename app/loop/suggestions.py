"""What models suggest for slices: found, or removed after some days."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import NotFound, Removed
from app.loop.access import Reader
from app.loop.models import SUGGESTIONS
from app.loop.slices import find_slice
from app.store import ModelVersion, QueryItem, Role, Round, Slice, Suggestion


def find_suggestion(session: Session, reader: Reader, slice_id: int) -> Suggestion:
    """The newest model's suggestion for a slice. Raises ``NotFound``, ``Removed``."""
    find_slice(session, reader, slice_id, Role.VIEWER)
    found = session.scalar(
        select(Suggestion)
        .where(Suggestion.slice_id == slice_id)
        .order_by(Suggestion.model_id.desc())
        .limit(1)
    )
    if found is None and _suggested_once(session, slice_id):
        raise Removed(
            f"what was suggested for slice {slice_id} was removed, as this installation keeps "
            "suggestions of rounds that are over for some days alone"
        )
    if found is None:
        raise NotFound(
            f"no model has suggested anything for slice {slice_id}: "
            "suggestions are made for the batch of a round after the first"
        )
    return found


def _suggested_once(session: Session, slice_id: int) -> bool:
    """Whether a round asked for it whose model's suggestions were removed since."""
    rounds = select(ModelVersion.removed).join(Round, Round.model_id == ModelVersion.id)
    asked = rounds.join(QueryItem, QueryItem.round_id == Round.id)
    of_slice = asked.where(QueryItem.slice_id == slice_id)
    return any(SUGGESTIONS in removed for removed in session.scalars(of_slice))


def was_removed(session: Session, slice_: Slice, model_id: int) -> bool:
    """Whether a model's suggestions were there and went, as may be while somebody draws."""
    model = session.get(ModelVersion, model_id)
    return (
        model is not None and model.project_id == slice_.project_id and SUGGESTIONS in model.removed
    )
