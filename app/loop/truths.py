"""The hidden ground truth of slices, for the simulated oracle alone. No route serves it."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.prepared import PreparedMask
from app.store import Slice, Truth, blobs


def add_truths(session: Session, drawn: Sequence[tuple[Slice, PreparedMask]]) -> None:
    """Hide the ground truth of slices for the oracle; one that is there stays."""
    places = [slice_.id for slice_, _ in drawn]
    there = set(session.scalars(select(Truth.slice_id).where(Truth.slice_id.in_(places))))
    new = [(slice_, mask) for slice_, mask in drawn if slice_.id not in there]
    blobs.put(session, *(mask.blob for _, mask in new))
    session.add_all(Truth(slice_id=slice_.id, sha256=m.blob.sha256) for slice_, m in new)
    session.flush()


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
