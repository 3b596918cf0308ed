"""The hidden ground truth of slices, for the simulated oracle alone. No route serves it."""

from collections.abc import Mapping

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.core.prepared import PreparedMask
from app.store import Slice, Truth, blobs


def add_truths(session: Session, drawn: Mapping[int, PreparedMask]) -> None:
    """Hide the ground truth of slices, by their ids, for the oracle; one that is there stays."""
    there = set(session.scalars(select(Truth.slice_id).where(Truth.slice_id.in_(drawn))))
    new = {slice_id: mask for slice_id, mask in drawn.items() if slice_id not in there}
    if not new:
        return
    blobs.put(session, *(mask.blob for mask in new.values()))
    rows = [{"slice_id": one, "sha256": mask.blob.sha256} for one, mask in new.items()]
    session.execute(insert(Truth), rows)


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
