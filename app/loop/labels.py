"""Which of a slice's masks stands for it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.loop.options import query_settings
from app.store import Label, Mask, Project, ReviewState, Slice


def elect_label(session: Session, slice_: Slice) -> Mask | None:
    """Choose the mask that trains, and note it. Returns it, or None when there is none.

    Accepted masks come before unreviewed ones, readings made under a lease before late ones,
    the first reader before further ones, and a reader's newest revision before the older.
    Rejected masks never train; unreviewed ones only where the project asks for no review.
    """
    masks = session.scalars(
        select(Mask)
        .where(Mask.slice_id == slice_.id, Mask.review_state != ReviewState.REJECTED)
        .order_by(Mask.id)
    ).all()
    if query_settings(session.get_one(Project, slice_.project_id)).review:
        masks = [m for m in masks if m.review_state is ReviewState.ACCEPTED]
    first_of_author: dict[int, int] = {}
    for mask in masks:
        first_of_author.setdefault(mask.author_id, mask.id)
    chosen = min(
        masks,
        key=lambda m: (
            m.review_state is not ReviewState.ACCEPTED,
            m.late,
            first_of_author[m.author_id],
            -m.revision,
        ),
        default=None,
    )
    label = session.get(Label, slice_.id)
    if chosen is None:
        if label is not None:
            session.delete(label)
    elif label is None:
        session.add(Label(slice_id=slice_.id, mask_id=chosen.id))
    else:
        label.mask_id = chosen.id
    session.flush()
    return chosen
