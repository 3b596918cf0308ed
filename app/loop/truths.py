"""The hidden ground truth of slices, for the simulated oracle alone. No route serves it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.loop.masks import PreparedMask
from app.store import Slice, Truth, blobs


def add_truth(session: Session, slice_: Slice, classes: PreparedMask) -> None:
    """Hide the ground truth of a slice for the oracle."""
    if session.get(Truth, slice_.id) is None:
        blobs.put(session, classes.blob)
        session.add(Truth(slice_id=slice_.id, sha256=classes.blob.sha256))


def truths(session: Session, project_id: int) -> dict[int, bytes]:
    """The hidden masks by slice, as PNG, for the simulated oracle alone."""
    query = (
        select(Truth.slice_id, Truth.sha256)
        .join(Slice, Slice.id == Truth.slice_id)
        .where(Slice.project_id == project_id)
    )
    names = {slice_id: sha256 for slice_id, sha256 in session.execute(query)}
    found = blobs.get_many(session, set(names.values()))
    return {slice_id: found[sha256] for slice_id, sha256 in names.items()}
