"""When it is time to retrain: asked for wherever something changes that could make it so."""

from sqlalchemy.orm import Session

from app.core.project_settings import query_settings
from app.loop import jobs
from app.loop.batches import anything_selectable, batch_state
from app.loop.first_batch import fill_first_batch, has_model
from app.loop.rounds import note_labelled, open_round
from app.store import Job, Project, Round


def retrain_if_due(session: Session, project: Project) -> Job | None:
    """Ask for a retraining when enough of the batch is labelled, or when the loop had come to its
    end and there is something to ask for again. Returns the job, if due: never in an archive.
    """
    if project.archived_at is not None:
        return None
    round_ = open_round(session, project)
    if round_ is None:
        due = has_model(session, project) and _may_go_on(session, project)
    else:
        due = _batch_is_done(session, project, round_)
    return jobs.request_retrain(session, project, by=None) if due else None


def _may_go_on(session: Session, project: Project) -> bool:
    """Whether another round can be opened, and nobody has stopped that."""
    # A retraining that failed would only fail again, one that was cancelled was not wanted.
    return (
        jobs.has_label(session, project)
        and jobs.last_succeeded(session, project.id)
        and anything_selectable(session, project)
    )


def _batch_is_done(session: Session, project: Project, round_: Round) -> bool:
    if round_.model_id is None:
        # Slices may still be arriving: the first batch is whole when it is as large as asked
        # for, not when somebody was quicker than the import.
        fill_first_batch(session, project, round_)
    state = batch_state(session, round_)
    settings = query_settings(project)
    if state.size == 0:
        # All of it was deleted: nobody's answer will ever end this round.
        return round_.model_id is not None and _may_go_on(session, project)
    if state.labelled == 0:
        return False
    enough = state.labelled >= min(settings.retrain_after or state.size, state.size)
    unreviewed = settings.review and state.labelled + state.open < state.size
    done = enough or (state.settled and not unreviewed)
    if done:
        note_labelled(session, round_, state)
    return done
