"""What was measured once of a kind of machine, and is used from then on."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.store import Tuning, utc_now


@dataclass(frozen=True)
class Tuned:
    """How a kind of machine computes: threads, precisions, slices that are scored at once."""

    threads: int
    precision: str
    training_precision: str
    scoring_batch: int


def find_tuned(session: Session, machine: str) -> Tuned | None:
    """What is kept for machines of that kind; None where nothing was measured."""
    kept = session.get(Tuning, machine)
    if kept is None:
        return None
    return Tuned(kept.threads, kept.precision, kept.training_precision, kept.scoring_batch)


def keep_tuned(
    session: Session, machine: str, tuned: Tuned, measured: dict[str, Any]
) -> Tuned | None:
    """Keep a choice for all machines of that kind; returns what was kept before."""
    before = find_tuned(session, machine)
    session.merge(Tuning(machine=machine, **asdict(tuned), measured=measured, created_at=utc_now()))
    return before
