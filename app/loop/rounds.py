"""Rounds: at most one of a project is open, until the next one opens or the pool is used up."""

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.core.errors import NotFound
from app.core.project_settings import QuerySettings
from app.loop.access import Reader, allow
from app.loop.batches import BatchState, batch_state
from app.loop.deliveries import announce
from app.loop.projects import lock_project
from app.store import HookEvent, Project, Role, Round, RoundState, Slice, utc_now


def find_round(session: Session, reader: Reader, round_id: int, role: Role) -> Round:
    """The round of that id, in whose project the reader's role includes ``role``.

    Raises ``NotFound``, ``NotAllowed``.
    """
    round_, missing = session.get(Round, round_id), f"there is no round {round_id}"
    if round_ is None:
        raise NotFound(missing)
    allow(session, reader, round_.project_id, role, missing)
    return round_


def open_round(session: Session, project: Project) -> Round | None:
    """The project's open round; the project is locked until the transaction ends."""
    lock_project(session, project.id)
    return session.scalar(
        select(Round).where(Round.project_id == project.id, Round.state == RoundState.OPEN)
    )


def start_round(
    session: Session,
    project: Project,
    model_id: int | None,
    settings: QuerySettings,
    seed: int,
    strategy: str | None = None,
) -> Round:
    """Close the open round and open the next, still without items."""
    close_round(session, open_round(session, project))
    highest = session.scalar(select(func.max(Round.number)).where(Round.project_id == project.id))
    round_ = Round(
        project_id=project.id,
        number=(highest or 0) + 1,
        strategy=strategy or settings.strategy,
        settings={**settings.model_dump(), "seed": seed},
        model_id=model_id,
    )
    session.add(round_)
    session.flush()
    facts = {"round": round_.id, "number": round_.number, "model": model_id}
    announce(session, project.id, HookEvent.ROUND_OPENED, strategy=round_.strategy, **facts)
    return round_


def note_labelled(session: Session, round_: Round, state: BatchState) -> None:
    """Enough of a round's batch is labelled: told the first time, though masks go on coming."""
    if round_.labelled_at is not None:
        return
    round_.labelled_at = utc_now()
    facts = {"round": round_.id, "number": round_.number}
    counts = {"slices": state.size, "labelled": state.labelled}
    announce(session, round_.project_id, HookEvent.ROUND_LABELLED, **facts, **counts)


def close_round(session: Session, round_: Round | None) -> None:
    """End a round. What all of its annotators skipped is set aside, not asked for again."""
    if round_ is None:
        return
    skipped = batch_state(session, round_).skipped_by_all
    session.execute(update(Slice).where(Slice.id.in_(skipped)).values(set_aside=True))
    round_.state = RoundState.CLOSED
    round_.closed_at = utc_now()
    session.flush()
