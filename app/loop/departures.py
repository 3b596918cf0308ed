"""Who can draw no longer: what they hold goes to others, and no round waits for them."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.errors import NotFound
from app.loop.access import draws_in
from app.loop.projects import lock_project
from app.loop.retraining import retrain_if_due
from app.store import Account, Lease, LeaseOutcome, Project, Round, RoundState, utc_now


def let_go(session: Session, account: Account) -> None:
    """Give back the slices that an account holds where it can draw no longer; where a round waited
    for it alone, a retraining is asked for, for which the sweep wakes workers.

    To be called by whatever takes somebody's role, after it. Takes the projects' locks.
    """
    session.flush()
    for project in _left(session, account):
        _go_on_without(session, project, account)


def _left(session: Session, account: Account) -> Sequence[int]:
    """The projects in whose open round an account had a part, and can draw no longer."""
    can_draw = select(Account.id).where(
        Account.id == account.id, draws_in(Round.project_id.expression)
    )
    query = (
        select(Round.project_id)
        .join(Lease, Lease.round_id == Round.id)
        .join(Project, Project.id == Round.project_id)
        .where(
            # There nothing is held, and nothing goes on.
            Project.archived_at.is_(None),
            Lease.account_id == account.id,
            Round.state == RoundState.OPEN,
            ~can_draw.exists(),
        )
        .distinct()
        .order_by(Round.project_id)
    )
    return session.scalars(query).all()


def _go_on_without(session: Session, project_id: int, account: Account) -> None:
    try:
        lock_project(session, project_id)
    except NotFound:
        return
    rounds = select(Round.id).where(Round.project_id == project_id)
    held = update(Lease).where(
        Lease.account_id == account.id, Lease.ended_at.is_(None), Lease.round_id.in_(rounds)
    )
    session.execute(held.values(ended_at=utc_now(), outcome=LeaseOutcome.RELEASED))
    retrain_if_due(session, session.get_one(Project, project_id))
