"""Imports and exports: asked for, claimed by a server, watched, ended, or taken back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from app.core.errors import JobFinished, NotFound
from app.loop.access import Reader, allow
from app.loop.audit import record
from app.loop.deliveries import announce
from app.loop.paging import Page, paginate
from app.store import (
    ACTIVE_STATES,
    Account,
    HookEvent,
    JobState,
    Project,
    Role,
    Transfer,
    TransferKind,
    database_now,
    utc_now,
)

# Servers that may end while they are at one before it is given up.
_MOST_ATTEMPTS = 3
DELETED = "(deleted)"
_EVENTS = {
    TransferKind.IMPORT: HookEvent.IMPORT_DONE,
    TransferKind.EXPORT: HookEvent.EXPORT_READY,
}
# Of a report: whatever else it holds may name cases.
_COUNTS = ("cases", "masks", "new_slices", "known_slices")
# A command is nobody's to give again: it may be late for a while.
_OF_COMMANDS = timedelta(minutes=10)
# And so long after which one that was cancelled would have heard of it.
_UNHEARD = timedelta(minutes=1)
# No heartbeat is like it.
_UNKNOWN = object()


class TransferLost(Exception):
    """It was cancelled, or given to another server: stop, and write nothing."""


@dataclass(frozen=True)
class TransferClaim:
    """A server's hold on a transfer, valid while the row shows the same attempt."""

    id: int
    attempt: int
    kind: TransferKind
    project: str
    layout: str
    options: dict[str, Any]
    folder: str | None
    by: int | None


@dataclass(frozen=True)
class TransferView:
    """A transfer as it is shown: see ``store.Transfer``. ``archive``: it has one to be fetched."""

    id: int
    kind: TransferKind
    project: str
    layout: str
    options: dict[str, Any]
    state: JobState
    progress: dict[str, Any]
    report: dict[str, Any] | None
    error: str | None
    archive: bool
    cancel_requested: bool
    created_by: str | None
    created_at: datetime
    finished_at: datetime | None


def ask(
    session: Session,
    kind: TransferKind,
    project: str,
    layout: str,
    options: dict[str, Any],
    by: Account | None,
    folder: str | None = None,
) -> Transfer:
    """A new transfer, waiting for a server."""
    transfer = Transfer(
        kind=kind,
        project=project,
        layout=layout,
        options=options,
        folder=folder,
        created_by=by.id if by else None,
        created_at=database_now(session),
    )
    session.add(transfer)
    session.flush()
    record(session, f"{kind}.asked", by, transfer=transfer.id, project=project, layout=layout)
    return transfer


def claim(session: Session, which: int, now: datetime) -> TransferClaim | None:
    """Take a waiting transfer; None when somebody else did, or it was cancelled."""
    taken = session.execute(
        update(Transfer)
        .where(
            Transfer.id == which,
            Transfer.state == JobState.QUEUED,
            Transfer.cancel_requested.is_(False),
        )
        .values(state=JobState.RUNNING, attempt=Transfer.attempt + 1, heartbeat_at=now)
        .returning(Transfer.id)
    ).one_or_none()
    if taken is None:
        return None
    transfer = session.get_one(Transfer, which, populate_existing=True)
    transfer.started_at = transfer.started_at or now
    return TransferClaim(
        transfer.id,
        transfer.attempt,
        transfer.kind,
        transfer.project,
        transfer.layout,
        dict(transfer.options),
        transfer.folder,
        transfer.created_by,
    )


def waiting(session: Session) -> list[tuple[int, str | None]]:
    """Those that wait, oldest first, and where their bytes lie."""
    query = select(Transfer.id, Transfer.folder).where(Transfer.state == JobState.QUEUED)
    return [(one, folder) for one, folder in session.execute(query.order_by(Transfer.id))]


def give_up(session: Session, before: datetime, is_there: Callable[[str], bool]) -> None:
    """What has waited since ``before`` for bytes that nobody has fails."""
    old = select(Transfer).where(Transfer.state == JobState.QUEUED, Transfer.created_at < before)
    for transfer in session.scalars(old):
        if transfer.folder is None or not is_there(transfer.folder):
            transfer.state, transfer.finished_at = JobState.FAILED, utc_now()
            transfer.error = "the server that has its bytes has not come back: send it again"


def _ours(held: TransferClaim) -> tuple[ColumnElement[bool], ...]:
    return (
        Transfer.id == held.id,
        Transfer.attempt == held.attempt,
        Transfer.state == JobState.RUNNING,
    )


def beat(session: Session, held: TransferClaim, progress: dict[str, Any], now: datetime) -> None:
    """Show that it goes on, and how far. Raises ``TransferLost`` when it should stop."""
    row = session.execute(
        update(Transfer)
        .where(*_ours(held))
        .values(heartbeat_at=now, progress=progress)
        .returning(Transfer.cancel_requested)
    ).one_or_none()
    if row is None or row.cancel_requested:
        raise TransferLost(f"transfer {held.id}, attempt {held.attempt}")


def end(
    session: Session,
    held: TransferClaim,
    state: JobState,
    report: dict[str, Any] | None = None,
    error: str | None = None,
    progress: dict[str, Any] | None = None,
) -> bool:
    """Note how it ended, if it is still ours; ``queued`` puts it back, to go on later.

    Returns whether it was ours.
    """
    values: dict[str, Any] = {"state": state, "report": report, "error": error}
    values["finished_at"] = None if state in ACTIVE_STATES else utc_now()
    if progress is not None:
        values["progress"] = progress
    if state is JobState.QUEUED:
        values["handed_back"] = Transfer.handed_back + 1
    ended = update(Transfer).where(*_ours(held)).values(**values).returning(Transfer.project)
    # As it is called now: it may have been renamed meanwhile.
    project = session.scalar(ended)
    if project is None or state in ACTIVE_STATES:
        return project is not None
    report = report or {}
    project_id = session.scalar(select(Project.id).where(Project.name == project))
    counts = {name: value for name, value in report.items() if isinstance(value, int)}
    detail = {"transfer": held.id, "project": project, **counts}
    record(session, f"{held.kind}.{state}", None, project_id, **detail)
    if project_id is not None and state is JobState.SUCCEEDED:
        _announce(session, held, project_id, report)
    return True


def _announce(
    session: Session, held: TransferClaim, project_id: int, report: dict[str, Any]
) -> None:
    """Tell the project's hooks of what can be looked at now: no check, no file of a command's."""
    event = _EVENTS.get(held.kind)
    if event is None or (event is HookEvent.EXPORT_READY and held.folder is None):
        return
    counts = {k: report[k] for k in _COUNTS if k in report}
    announce(session, project_id, event, transfer=held.id, **counts)


Beats = Mapping[tuple[int, int], datetime | None]


def beats(session: Session) -> Beats:
    """The last sign of life of what servers are at, by its id and attempt."""
    query = select(Transfer.id, Transfer.attempt, Transfer.heartbeat_at).where(
        Transfer.state == JobState.RUNNING, Transfer.folder.is_not(None)
    )
    return {(one, attempt): beat for one, attempt, beat in session.execute(query)}


def take_back(session: Session, now: datetime, silent: Beats) -> None:
    """What a server that ended had begun waits again; a command line's has failed.

    ``silent``: those that have shown no life for too long, with the last that they showed; one
    that has shown some since is left alone.
    """
    running = select(Transfer).where(Transfer.state == JobState.RUNNING)
    for transfer in session.scalars(running.where(Transfer.id.in_([one for one, _ in silent]))):
        if silent.get((transfer.id, transfer.attempt), _UNKNOWN) != transfer.heartbeat_at:
            continue
        lost = transfer.attempt - transfer.handed_back
        if lost < _MOST_ATTEMPTS:
            transfer.state = JobState.QUEUED
            continue
        transfer.state, transfer.finished_at = JobState.FAILED, now
        transfer.error = f"{lost} servers ended while they were at it: it was given up"
    of_commands = running.where(Transfer.folder.is_(None))
    # Whoever cancels has looked: it is not waited for as long.
    unheard = Transfer.cancel_requested & (Transfer.heartbeat_at < now - _UNHEARD)
    for transfer in session.scalars(of_commands.where(unheard)):
        transfer.state, transfer.finished_at = JobState.CANCELLED, now
    late = ~Transfer.cancel_requested & (Transfer.heartbeat_at < now - _OF_COMMANDS)
    for transfer in session.scalars(of_commands.where(late)):
        transfer.state, transfer.finished_at = JobState.FAILED, now
        transfer.error = "the command was ended before it was done: give it again, and it goes on"
    for transfer in session.scalars(
        select(Transfer).where(
            Transfer.state == JobState.QUEUED, Transfer.cancel_requested.is_(True)
        )
    ):
        transfer.state, transfer.finished_at = JobState.CANCELLED, now


def find_transfer(session: Session, reader: Reader, which: int) -> Transfer:
    """The transfer of that id, for admins of its project. Raises ``NotFound``, ``NotAllowed``."""
    found, missing = session.get(Transfer, which), f"there is no import or export {which}"
    if found is None:
        raise NotFound(missing)
    allow_admin(session, reader, found.project, missing)
    return found


def allow_admin(session: Session, reader: Reader, project: str, missing: str | None = None) -> None:
    """Let a project's admin pass; an installation's where there is no project of that name yet.

    Raises ``NotFound``, ``NotAllowed``.
    """
    missing = missing or f"there is no project {project[:140]!r}: ask for the list of projects"
    there = session.scalar(select(Project.id).where(Project.name == project))
    if there is not None:
        allow(session, reader, there, Role.ADMIN, missing)
    elif not reader.of_installation:
        raise NotFound(missing)


def note_fetched(session: Session, reader: Reader, which: int) -> None:
    """Note who takes an export's archive. Raises ``NotFound``, ``NotAllowed``."""
    found = find_transfer(session, reader, which)
    of_project = session.scalar(select(Project.id).where(Project.name == found.project))
    record(session, "export.fetched", reader.account, of_project, transfer=which)


def request_cancel(session: Session, reader: Reader, which: int) -> Transfer:
    """Stop it; what is kept by then stays. Raises ``NotFound``, ``NotAllowed``, ``JobFinished``."""
    transfer, by = find_transfer(session, reader, which), reader.account
    if transfer.state not in ACTIVE_STATES:
        raise JobFinished(f"the {transfer.kind} {which} has ended already: {transfer.state}")
    transfer.cancel_requested = True
    if transfer.state is JobState.QUEUED:
        transfer.state, transfer.finished_at = JobState.CANCELLED, utc_now()
    record(session, f"{transfer.kind}.cancelled", by, transfer=which, project=transfer.project)
    return transfer


def list_transfers(
    session: Session, reader: Reader, project: str, cursor: int | None, limit: int
) -> Page[TransferView]:
    """The transfers of a project's name, newest first; their reports without the cases taken.

    Raises ``NotFound``, ``NotAllowed``.
    """
    allow_admin(session, reader, project)
    query = select(Transfer).where(Transfer.project == project)

    def short(one: Transfer) -> TransferView:
        return _short(view(session, one))

    return paginate(session, query, Transfer.id, cursor, limit, short, newest=True)


def _short(whole: TransferView) -> TransferView:
    if whole.report is None:
        return whole
    return replace(whole, report={k: v for k, v in whole.report.items() if k != "taken"})


def view(session: Session, transfer: Transfer) -> TransferView:
    """It as it is shown."""
    by = session.get(Account, transfer.created_by) if transfer.created_by else None
    return TransferView(
        id=transfer.id,
        kind=transfer.kind,
        project=transfer.project,
        layout=transfer.layout,
        options=transfer.options,
        state=transfer.state,
        progress=transfer.progress,
        report=transfer.report,
        error=transfer.error,
        archive=transfer.kind is TransferKind.EXPORT
        and transfer.state is JobState.SUCCEEDED
        and transfer.folder is not None,
        cancel_requested=transfer.cancel_requested,
        created_by=by.name if by else None,
        created_at=transfer.created_at,
        finished_at=transfer.finished_at,
    )


def forget_project(session: Session, project: str) -> None:
    """Delete what is known of a project's imports and exports; those that run are stopped."""
    session.execute(delete(Transfer).where(Transfer.project == project))


def forget_case(session: Session, project: str, case: str) -> None:
    """Take a case out of what is kept of a project's imports and exports that have ended."""
    done = Transfer.project == project, Transfer.state.not_in(ACTIVE_STATES)
    for transfer in session.scalars(select(Transfer).where(*done)):
        if transfer.options.get("name") == case:
            transfer.options = {**transfer.options, "name": DELETED}
        if transfer.progress.get("case") == case:
            transfer.progress = {**transfer.progress, "case": DELETED}
        if transfer.error:
            transfer.error = _without(transfer.error, case)
        if transfer.report:
            transfer.report = {k: _without(v, case) for k, v in transfer.report.items()}


def _without(kept: Any, case: str) -> Any:
    """Without the entries of a case, and its name where others' words quote it."""
    if isinstance(kept, str):
        return kept.replace(repr(case), repr(DELETED))
    if isinstance(kept, list):
        others = [one for one in kept if not (isinstance(one, dict) and one.get("name") == case)]
        return [_without(one, case) for one in others]
    if isinstance(kept, dict):
        return {k: _without(v, case) for k, v in kept.items() if not _is_of(k, case)}
    return kept


def _is_of(file: str, case: str) -> bool:
    """Whether a name of a case or file is that case's: itself, or a part of its way."""
    parts = file.split("/")
    return case in parts or any(part.startswith(f"{case}.") for part in parts)


def forget_archives(session: Session, project: str) -> None:
    """Exports hold what is being deleted: those that are done are given out no more, those under
    way are stopped. Their bytes go from the disk with the next sweep.
    """
    exports = Transfer.project == project, Transfer.kind == TransferKind.EXPORT
    active = Transfer.state.in_(ACTIVE_STATES)
    session.execute(update(Transfer).where(*exports, ~active).values(folder=None))
    session.execute(update(Transfer).where(*exports, active).values(cancel_requested=True))


def folders_needed(session: Session) -> tuple[set[str], set[str]]:
    """Where bytes lie of what is not done; and of all that is known."""
    rows = session.execute(select(Transfer.folder, Transfer.state)).all()
    known = {folder: state for folder, state in rows if folder is not None}
    return {folder for folder, state in known.items() if state in ACTIVE_STATES}, set(known)
