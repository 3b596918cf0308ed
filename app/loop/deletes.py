"""Deleting a slice, a case or a project, a little at a time.

Each step is a short transaction, so that other writers take their turn between them; a deletion
that was interrupted goes on when it is asked for again. The audit entry comes first, so that
nothing ever goes without one.
"""

from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.core.errors import InvalidInput, NotFound
from app.core.project_settings import training_settings
from app.loop import checkpoints, deleted_work, jobs, traces, transfers
from app.loop.audit import record
from app.loop.deletions import Deletion, case_goes, learned_from
from app.loop.projects import lock_project
from app.loop.retraining import retrain_if_due
from app.store import Account, Case, Event, Mask, ModelVersion, Project, Slice, blobs

Step = Callable[[Session], None]
# What one transaction takes: so much that it is quick, so little that nobody waits long.
SLICES_AT_ONCE, MODELS_AT_ONCE, ENTRIES_AT_ONCE = 50, 4, 1000
# How often bytes are asked for again that somebody else was keeping just then.
_TRIES = 5


def steps(planned: Deletion, confirm: str, by: Account | None) -> Iterator[Step]:
    """What carries a deletion out, each step to be run in a transaction of its own, in order.

    Raises ``InvalidInput`` unless ``confirm`` is its name.
    """
    if confirm != planned.confirm:
        raise InvalidInput(
            f"confirm is {confirm[:140]!r}, the {planned.kind} is {planned.confirm!r}: nothing was "
            "deleted; give exactly that name to delete it"
        )
    return _steps(planned, by)


def _steps(planned: Deletion, by: Account | None) -> Iterator[Step]:
    yield partial(_announce, planned, by)
    while not planned.emptied:
        yield partial(_delete_some, planned)
    for _ in range(_TRIES):
        if planned.in_hand:
            yield partial(_forget, planned)
    if planned.kind != "project":
        yield partial(_go_on, planned)
    planned.deleted = True


def _announce(planned: Deletion, by: Account | None, session: Session) -> None:
    """Put into the audit what goes, by whose word; a project's jobs end here."""
    project = session.get(Project, planned.project_id)
    if project is not None:
        transfers.forget_archives(session, project.name)
    if planned.kind == "project":
        planned.jobs += deleted_work.cancel_all(session, planned.project_id)
    detail = {
        **planned.about,
        "counts": planned.counts,
        "models": [model.number for model in planned.models],
    }
    record(session, f"{planned.kind}.delete", by, planned.project_id, **detail)


def _delete_some(planned: Deletion, session: Session) -> None:
    """Delete some of the slices; once there are none, what was left for the end."""
    if planned.kind == "project":
        # Before the project's lock, in the order that workers take them.
        deleted_work.cancel_all(session, planned.project_id)
    if not _still_there(session, planned):
        planned.emptied = True
        return
    ids = list(session.scalars(planned.slices.order_by(Slice.id).limit(SLICES_AT_ONCE)))
    masks = list(session.scalars(select(Mask.id).where(Mask.slice_id.in_(ids))))
    planned.masks |= set(masks)
    concerned = traces.entries_of(planned.project_id, ids, masks)
    while traces.empty_entries(session, concerned, ENTRIES_AT_ONCE):
        pass
    names = traces.delete_slices(session, ids)
    if len(ids) < SLICES_AT_ONCE:
        names |= _delete_rest(session, planned)
    planned.in_hand |= blobs.forget(session, names, partial(traces.in_use, session))


def _still_there(session: Session, planned: Deletion) -> bool:
    """Hold the project's lock; whether the project is there at all."""
    try:
        lock_project(session, planned.project_id, even_archived=True)
    except NotFound:
        return False
    return True


def _delete_rest(session: Session, planned: Deletion) -> set[str]:
    """Delete what has no slices any more; returns the names of bytes that it referred to."""
    if planned.kind == "project":
        return _delete_project(session, planned)
    if case_goes(session, planned):
        session.execute(delete(Case).where(Case.id == planned.case_id))
        project = session.get_one(Project, planned.project_id)
        transfers.forget_case(session, project.name, planned.about["case"])
        traces.forget_in_scores(session, planned.project_id, planned.about["case"])
    elif planned.case_id is not None:
        _forget_instances(session, planned.case_id)
    planned.emptied = True
    return set()


def _forget_instances(session: Session, case_id: int) -> None:
    """Take the numbers of images that are gone out of what leads back to a case's files."""
    case = session.get(Case, case_id)
    if case is None or "instances" not in case.source:
        return
    there = set(session.scalars(select(Slice.index).where(Slice.case_id == case_id)))
    kept = [one for one in case.source["instances"] if one[0] in there]
    case.source = {**case.source, "instances": kept}


def _delete_project(session: Session, planned: Deletion) -> set[str]:
    """Delete a project without slices: some of its models, or with the last of them the rest."""
    project_id = planned.project_id
    for column in traces.OF_PROJECTS:
        session.execute(delete(column.class_).where(column == project_id))
    # The newest first: each may be the parent of newer ones.
    models = session.execute(
        select(ModelVersion.id, ModelVersion.weights_sha256)
        .where(ModelVersion.project_id == project_id)
        .order_by(ModelVersion.id.desc())
        .limit(MODELS_AT_ONCE)
    ).all()
    session.execute(delete(ModelVersion).where(ModelVersion.id.in_([m.id for m in models])))
    said = traces.entries_of_project(project_id)
    emptied = traces.empty_entries(session, said, ENTRIES_AT_ONCE)
    kept = checkpoints.drop_of_project(session, project_id)
    if not kept and len(models) < MODELS_AT_ONCE and emptied < ENTRIES_AT_ONCE:
        deleted_work.delete_all(session, project_id)
        of_project = Event.project_id == project_id
        session.execute(update(Event).where(of_project).values(project_id=None))
        traces.delete_access(session, project_id)
        session.execute(delete(Project).where(Project.id == project_id))
        transfers.forget_project(session, planned.confirm)
        planned.emptied = True
    return {model.weights_sha256 for model in models}


def _forget(planned: Deletion, session: Session) -> None:
    names, planned.in_hand = planned.in_hand, set()
    planned.in_hand = blobs.forget(session, names, partial(traces.in_use, session))


def _go_on(planned: Deletion, session: Session) -> None:
    """Let the loop go on without what went: a training that may have read it begins again."""
    project = session.get(Project, planned.project_id)
    if project is None:
        return
    if planned.counts["labels"] or training_settings(project).context:
        begun = deleted_work.begin_again(session, project.id, jobs.has_label(session, project))
        if begun is not None:
            planned.jobs.append(begun.id)
            planned.queues.add(begun.queue)
    due = retrain_if_due(session, project)
    if due is not None:
        planned.queues.add(due.queue)
    known = {model.id for model in planned.models}
    planned.models += [m for m in learned_from(session, planned) if m.id not in known]
