"""Which of a slice's masks is its label."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.project_settings import query_settings
from app.loop.readings import form_consensus, is_valid
from app.store import Label, Mask, MaskSource, Project, ReviewState, Slice


def elect_label(session: Session, slice_: Slice) -> Mask | None:
    """Choose the mask that trains, and note it. Returns it, or None when there is none.

    Accepted masks come before unreviewed ones, a consensus before single readings, readings
    made under a lease before late ones, the first reader before further ones, and a reader's
    newest revision before the older. Rejected masks never train; unreviewed ones only where the
    project asks for no review, and a single reading not while further readers are asked.
    """
    label = session.get(Label, slice_.id)
    masks = _eligible(session, slice_, label)
    first_of_author: dict[int, int] = {}
    for mask in masks:
        first_of_author.setdefault(mask.author_id, mask.id)
    chosen = min(
        masks,
        key=lambda m: (
            m.review_state is not ReviewState.ACCEPTED,
            m.source is not MaskSource.CONSENSUS,
            m.late,
            first_of_author[m.author_id],
            -m.revision,
        ),
        default=None,
    )
    if chosen is None:
        if label is not None:
            session.delete(label)
    elif label is None:
        session.add(Label(slice_id=slice_.id, mask_id=chosen.id))
    else:
        label.mask_id = chosen.id
    session.flush()
    return chosen


def _eligible(session: Session, slice_: Slice, label: Label | None) -> list[Mask]:
    """The masks of a slice that may train by the rules of its project, oldest first."""
    settings = query_settings(session.get_one(Project, slice_.project_id))
    consensus = form_consensus(session, slice_)
    masks = session.scalars(
        select(Mask).where(Mask.slice_id == slice_.id, is_valid()).order_by(Mask.id)
    ).all()
    # An older consensus speaks for readings that were changed since.
    masks = [m for m in masks if m.source is not MaskSource.CONSENSUS or m is consensus]
    # A slice that had one reader's label before more were asked keeps it until they come.
    from_before = (
        label is not None
        and label.mask.source is not MaskSource.CONSENSUS
        and label.mask.author_id in {m.author_id for m in masks}
    )
    incomplete = consensus is None and settings.readers_per_slice > 1
    if settings.review:
        return [m for m in masks if m.review_state is ReviewState.ACCEPTED]
    if incomplete and not from_before:
        return [
            m
            for m in masks
            if m.review_state is ReviewState.ACCEPTED or m.source is MaskSource.IMPORT
        ]
    return masks


def elect_all(session: Session, project: Project) -> None:
    """Elect the labels of a project anew, after its rules have changed."""
    with_masks = select(Mask.slice_id).where(Mask.slice_id == Slice.id).exists()
    for slice_ in session.scalars(
        select(Slice).where(Slice.project_id == project.id, with_masks).order_by(Slice.id)
    ).all():
        elect_label(session, slice_)
