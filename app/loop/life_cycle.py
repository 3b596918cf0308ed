"""A project's life: changed, renamed, archived, brought back."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.errors import InvalidInput, TransferUnderWay
from app.loop import deleted_work
from app.loop.access import lock_access
from app.loop.audit import record
from app.loop.jobs import active_job
from app.loop.projects import check_free, lock_project
from app.loop.retraining import retrain_if_due
from app.loop.settings_changes import update_project
from app.store import (
    ACTIVE_STATES,
    Account,
    Job,
    JobState,
    Lease,
    LeaseOutcome,
    Project,
    Round,
    Transfer,
    TransferKind,
    utc_now,
)

_IMPORTS = (TransferKind.IMPORT, TransferKind.CHECK)
# So many of its former names lead to a project; older ones are forgotten.
_FORMER_NAMES = 20


@dataclass(frozen=True)
class Change:
    """What somebody wants to be otherwise; what is None or empty stays."""

    query: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    archived: bool | None = None


def change_project(
    session: Session, project: Project, change: Change, by: Account | None
) -> list[Job]:
    """Change what is asked for. Returns the retrainings that are due.

    Raises as what it consists of, and ``InvalidInput`` for archiving among other changes.
    """
    settings = bool(change.query or change.training)
    if change.archived is not None:
        if settings or change.name is not None:
            raise InvalidInput(
                "a project is archived or brought back by itself: send the other changes apart"
            )
        if change.archived:
            archive_project(session, project, by)
            return []
        due = bring_back(session, project, by)
        return [] if due is None else [due]
    if change.name is not None:
        rename_project(session, project, change.name, by)
        if not settings:
            return []
    _, due = update_project(session, project, change.query, change.training, by)
    return [] if due is None else [due]


def rename_project(session: Session, project: Project, name: str, by: Account | None) -> None:
    """Call a project something else; its old name is free at once, and leads to it until then.

    Tokens, jobs, webhooks and rounds hold it by its id; imports and exports follow. Raises
    ``InvalidInput``, ``AlreadyExists``, ``ProjectArchived``, and ``TransferUnderWay``: an import
    that runs would find another project by the name that it was given, or make one.
    """
    if name == project.name:
        return
    lock_access(session)
    lock_project(session, project.id)
    # Somebody else may have renamed it while we waited.
    session.refresh(project)
    if name == project.name:
        return
    check_free(session, name)
    old = project.name
    _check_no_import(session, old, name)
    project.name = name
    former = [one for one in project.former_names if one not in (old, name)]
    project.former_names = [*former, old][-_FORMER_NAMES:]
    session.execute(update(Transfer).where(Transfer.project == old).values(project=name))
    record(session, "project.rename", by, project.id, old=old, new=name)


def _check_no_import(session: Session, *names: str) -> None:
    busy = session.scalar(
        select(Transfer.id)
        .where(
            Transfer.project.in_(names),
            Transfer.kind.in_(_IMPORTS),
            Transfer.state.in_(ACTIVE_STATES),
        )
        .order_by(Transfer.id)
    )
    if busy is not None:
        raise TransferUnderWay(
            f"the import {busy} is under way for a project of that name: wait until it has ended, "
            "or cancel it, then rename"
        )


def archive_project(session: Session, project: Project, by: Account | None) -> None:
    """Let nobody change a project any more. What people held is given back, its jobs and imports
    are cancelled; exports go on. One that is archived stays so.
    """
    # Jobs before the project's lock, in the order that workers take them.
    cancelled = deleted_work.cancel_all(session, project.id)
    lock_project(session, project.id, even_archived=True)
    session.refresh(project)
    if project.archived_at is not None:
        return
    if active_job(session, project.id) is not None:
        # Asked for while we waited for the lock.
        cancelled += deleted_work.cancel_all(session, project.id)
    now = utc_now()
    rounds = select(Round.id).where(Round.project_id == project.id)
    leases = update(Lease).where(Lease.ended_at.is_(None), Lease.round_id.in_(rounds))
    given_back = session.execute(
        leases.values(ended_at=now, outcome=LeaseOutcome.RELEASED).returning(Lease.id)
    ).all()
    imports = update(Transfer).where(
        Transfer.project == project.name,
        Transfer.kind.in_(_IMPORTS),
        Transfer.state.in_(ACTIVE_STATES),
    )
    session.execute(imports.values(cancel_requested=True))
    queued = imports.where(Transfer.state == JobState.QUEUED)
    session.execute(queued.values(state=JobState.CANCELLED, finished_at=now))
    project.archived_at = now
    counts = {"jobs": cancelled, "leases": len(given_back)}
    record(session, "project.archive", by, project.id, **counts)


def bring_back(session: Session, project: Project, by: Account | None) -> Job | None:
    """Let an archived project go on. Returns the retraining that is due, as one was cancelled."""
    lock_project(session, project.id, even_archived=True)
    session.refresh(project)
    if project.archived_at is None:
        return None
    project.archived_at = None
    session.flush()
    record(session, "project.bring_back", by, project.id)
    return retrain_if_due(session, project)
