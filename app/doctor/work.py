"""What is done with the database: workers, projects that stand still, backups."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.catalogue import Kind
from app.core.project_settings import query_settings, training_settings
from app.doctor.finding import Finding, ok, warning, wrong
from app.loop.audit_chain import wrong_end
from app.loop.capabilities import list_catalogue, live_workers
from app.loop.claims import QUEUES
from app.loop.figures import newest_backup
from app.loop.project_figures import failed_retrainings
from app.store import Job, JobState, Project, utc_now

_LOADED: tuple[Kind, ...] = ("strategy", "network", "recipe", "measure")
_BACKUP = timedelta(hours=48)


def workers(session: Session) -> Iterator[Finding]:
    """Whether somebody serves each queue, and can load what projects ask for."""
    about = "workers"
    live = live_workers(session)
    for queue in QUEUES:
        if not any(queue in worker.queues for worker in live):
            waits = session.scalar(
                select(Job.id).where(Job.state == JobState.QUEUED, Job.queue == queue).limit(1)
            )
            yield (warning if waits is None else wrong)(
                about,
                f"none serves the queue {queue}" + (", and jobs wait there" if waits else ""),
                f"start one: sfumato worker --queues {queue}, or sfumato up for all",
            )
    if live:
        yield ok(about, f"{len(live)} there: {', '.join(worker.name for worker in live)}")
        yield from _unloadable(session)


def _unloadable(session: Session) -> Iterator[Finding]:
    asked = _asked_for(session)
    for kind in _LOADED:
        for entry in list_catalogue(session, kind):
            if entry.error is None:
                continue
            users = asked.get((kind, entry.name), [])
            yield (wrong if users else warning)(
                "workers",
                f"no worker can load the {kind} {entry.name} ({entry.error.splitlines()[0]})"
                + (f", which {', '.join(users)} asks for" if users else ""),
                "install what it needs where the workers run, and start them again",
            )


def _asked_for(session: Session) -> dict[tuple[str, str], list[str]]:
    asked: dict[tuple[str, str], list[str]] = {}
    going_on = select(Project).where(Project.archived_at.is_(None))
    for project in session.scalars(going_on.order_by(Project.name)):
        training = training_settings(project)
        for key in (
            ("strategy", query_settings(project).strategy),
            ("network", training.network),
            ("recipe", training.recipe),
        ):
            asked.setdefault(key, []).append(project.name)
    return asked


def projects(session: Session) -> Iterator[Finding]:
    """Those whose newest retraining failed: nobody trains them until somebody looks."""
    for one in failed_retrainings(session):
        said = one.error.strip().splitlines()
        yield wrong(
            "projects",
            f"{one.project} stands still: job {one.job} failed ({said[-1] if said else 'no word'})",
            "read the job on the dashboard, put right what it names, and start a retraining there",
        )


def backups(session: Session) -> Iterator[Finding]:
    """How old the newest is that we know of."""
    about, made = "backups", newest_backup(session)
    if made is None:
        if session.scalar(select(Project.id).limit(1)) is not None:
            yield warning(
                about,
                "none was made with sfumato backup",
                "run it every night, unless something else copies the database",
            )
        return
    age = utc_now() - made
    words = f"the newest was made {age.total_seconds() / 3600:.0f} hours ago"
    if age > _BACKUP:
        yield wrong(about, words, "see why sfumato backup does not run any more")
    else:
        yield ok(about, words)


def audit(session: Session) -> Iterator[Finding]:
    """Whether the audit's chain still goes as far as it was sealed."""
    fault = wrong_end(session)
    if fault is None:
        yield ok("audit", "its chain goes as far as it was sealed")
    else:
        yield wrong(
            "audit",
            fault,
            "somebody wrote to the database: compare it with an export (sfumato audit verify "
            "--export FILE) or a backup. Nothing more is sealed until sfumato audit go-on says so",
        )
