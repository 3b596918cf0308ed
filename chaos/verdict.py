"""What the annotators' journals say, held against what the database holds."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import func, select

from app.backup.verify import verify_database
from app.store import (
    ACTIVE_STATES,
    Account,
    Database,
    Job,
    JobKind,
    JobState,
    Mask,
    MaskSource,
    ModelVersion,
    Round,
)
from chaos.journal import Journal


@dataclass(frozen=True)
class Strike:
    """A fault that was: its name, and the seconds from its end until an annotator was answered."""

    fault: str
    seconds: float


@dataclass
class Verdict:
    """Counts of what must not be (``wrong``, each with examples), and of what was."""

    title: str
    strikes: list[Strike]
    counts: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether nothing went wrong."""
        return not any(self.wrong.values())

    @property
    def longest(self) -> float:
        """Seconds after the worst fault."""
        return max((strike.seconds for strike in self.strikes), default=0.0)


def judge(
    title: str,
    database: Database,
    journal: Journal,
    strikes: list[Strike],
    stuck: list[str],
    within: float,
) -> Verdict:
    """Hold the journals against the database, once everything has come to rest.

    ``stuck``: what did not go on by itself, in words; ``within``: seconds in which somebody must
    have been answered after each fault.
    """
    verdict = Verdict(title, strikes)
    wrong = verdict.wrong
    wrong["masks lost"], wrong["masks changed"], wrong["masks doubled"] = _masks(database, journal)
    wrong["slices in two hands at once"] = [
        f"slice {one.slice}: {one.annotator} and {other.annotator}"
        for one, other in journal.held_twice()
    ]
    wrong["pictures that were not what was put in"] = journal.unlike
    wrong["answers 500 and others that nobody asked for"] = [
        f"{status} to {request}: {text}" for request, status, text in journal.refused
    ]
    jobs = _jobs(database)
    wrong["jobs that failed"] = [
        f"job {job.id}: {job.error}" for job in jobs if job.state is JobState.FAILED
    ]
    wrong["jobs that ended twice, or not once"] = _ended_badly(database, jobs)
    wrong["what `sfumato verify` finds"] = list(verify_database(database))
    wrong["rounds that waited for an admin"] = stuck
    wrong[f"faults after which nobody was answered within {within:.0f} s"] = [
        f"{strike.fault}: {strike.seconds:.1f} s" for strike in strikes if strike.seconds > within
    ]
    verdict.counts = {
        "masks drawn and kept": len(journal.kept),
        "rounds gone through": _rounds(database),
        "requests answered": sum(journal.statuses.values()),
        "of them 503 or 429: again, later": journal.statuses[503] + journal.statuses[429],
        "requests whose reply was lost": journal.lost_replies,
        "jobs taken up again by a worker": sum(job.attempt - 1 for job in jobs),
        "jobs that were tried again": sum(1 for job in jobs if job.failures),
    }
    return verdict


def _masks(database: Database, journal: Journal) -> tuple[list[str], list[str], list[str]]:
    """Those lost, changed and doubled. That the bytes are what they are called, ``verify`` says."""
    with database.reading() as session:
        rows = session.execute(
            select(Mask.id, Mask.slice_id, Mask.sha256, Account.name)
            .join(Account, Account.id == Mask.author_id)
            .where(Mask.source == MaskSource.HUMAN)
        ).all()
    by_id = {row.id: row for row in rows}
    lost = ["drawn, and never answered"] * (journal.begun - len(journal.kept))
    changed = []
    for drawn in journal.kept:
        found = by_id.get(drawn.mask)
        what = f"mask {drawn.mask} of slice {drawn.slice}"
        if found is None:
            lost.append(what)
        elif found[1:] != (drawn.slice, drawn.sha256, drawn.annotator):
            changed.append(what)
    same = Counter((row.name, row.slice_id, row.sha256) for row in rows)
    doubled = [f"slice {one[1]} of {one[0]}" for one, times in same.items() if times > 1]
    return lost, changed, doubled


def _jobs(database: Database) -> list[Job]:
    with database.reading() as session:
        return list(session.scalars(select(Job).order_by(Job.id)))


def _ended_badly(database: Database, jobs: list[Job]) -> list[str]:
    """Retrainings that went well make one model and open one round; nothing else makes any."""
    with database.reading() as session:
        made = Counter(session.scalars(select(ModelVersion.job_id)))
    well = [j.id for j in jobs if j.kind is JobKind.RETRAIN and j.state is JobState.SUCCEEDED]
    bad = [f"job {job} made {made[job]} models" for job in well if made[job] != 1]
    rounds = _rounds(database)
    if rounds != 1 + len(well):
        bad.append(f"{len(well)} retrainings went well, and there are {rounds} rounds")
    return bad + [f"job {job.id} is {job.state}" for job in jobs if job.state in ACTIVE_STATES]


def _rounds(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Round)) or 0
