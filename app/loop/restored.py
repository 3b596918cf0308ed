"""What was under way in an installation that comes back from a backup, somewhere else or later."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.store import (
    ACTIVE_STATES,
    Delivery,
    DeliveryState,
    Job,
    JobState,
    SignIn,
    Transfer,
)


def settle(session: Session, now: datetime) -> None:
    """End or put back what cannot go on. Leases end at their time, as always.

    Jobs that ran wait for a worker again, without counting as lost: nobody here holds them.
    Imports and exports that were under way have failed, and finished exports have no archive any
    more, since their bytes lay in the old data folder. Webhooks are not told of what happened
    before: the old installation may have done so since. Browsers sign in again.
    """
    ran = update(Job).where(Job.state == JobState.RUNNING)
    session.execute(
        ran.where(Job.cancel_requested).values(state=JobState.CANCELLED, finished_at=now)
    )
    session.execute(ran.values(state=JobState.QUEUED, worker=None, heartbeat_at=None))
    # They were announced to a broker that is not this one.
    queued = update(Job).where(Job.state == JobState.QUEUED)
    session.execute(queued.values(announced_at=None, announcements=0))
    session.execute(
        update(Transfer)
        .where(Transfer.state.in_(ACTIVE_STATES))
        .values(
            state=JobState.FAILED,
            finished_at=now,
            error="the installation was restored from a backup, without its files: send it again",
        )
    )
    session.execute(update(Transfer).values(folder=None))
    session.execute(
        update(Delivery)
        .where(Delivery.state.in_((DeliveryState.WAITING, DeliveryState.SENDING)))
        .values(
            state=DeliveryState.GIVEN_UP,
            finished_at=now,
            due_at=None,
            error="the installation was restored from a backup",
        )
    )
    session.execute(update(SignIn).where(SignIn.ended_at.is_(None)).values(ended_at=now))
