"""`make chaos`: break a running service on purpose, then count what was lost.

``python -m chaos --faults N``: so many in all, shared by the topologies. Exits with 1 where
anything went wrong, and leaves the logs then.
"""

import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import func, select

from app.store import ACTIVE_STATES, Database, Job, Round
from chaos.annotators import Annotator
from chaos.disk import SmallDisk, small_disk
from chaos.faults import Fault, faults_of
from chaos.journal import Journal
from chaos.study import make_annotators, make_study
from chaos.tally import tally
from chaos.topologies import Apart, Embedded
from chaos.verdict import Strike, Verdict, judge

_TOPOLOGIES: dict[str, type[Embedded | Apart]] = {"embedded": Embedded, "apart": Apart}
_ANNOTATORS = 4
# Long beside what a round takes on two cores: what has not gone on by then will not.
_PATIENCE_SECONDS = 180.0
_LONGEST_SECONDS = 60.0
_SLICES_A_FAULT, _FEWEST_SLICES = 15, 200


def run(
    faults: Annotated[int, typer.Option(min=1, help="In all, shared by the topologies.")] = 24,
    topology: Annotated[str, typer.Option(help="embedded, apart, or both.")] = "both",
    seed: Annotated[int, typer.Option(help="Of what is struck when.")] = 0,
    within: Annotated[
        float, typer.Option(help="Seconds in which somebody is answered after each fault.")
    ] = 10.0,
) -> None:
    """Break both topologies while annotators draw, and say what came of it."""
    console = Console()
    # Whoever ends us ends what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = list(_TOPOLOGIES) if topology == "both" else [topology]
    verdicts = [
        _judged(_TOPOLOGIES[name], faults // len(chosen) or 1, seed, within, console)
        for name in chosen
    ]
    console.print(tally(verdicts), markup=False, soft_wrap=True)
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(1)


def _judged(
    kind: type[Embedded | Apart], faults: int, seed: int, within: float, console: Console
) -> Verdict:
    folder = Path(tempfile.mkdtemp(prefix=f"sfumato-chaos-{kind.title}-"))
    disk = small_disk(folder / "disk")
    if disk is None:
        console.print("no disk is filled: only root may mount one, on Linux")
    try:
        verdict = _broken(kind, folder, disk, faults, seed, within, console)
    finally:
        if disk is not None:
            disk.end()
    if verdict.holds:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"what the processes said: {folder}")
    return verdict


def _broken(
    kind: type[Embedded | Apart],
    folder: Path,
    disk: SmallDisk | None,
    faults: int,
    seed: int,
    within: float,
    console: Console,
) -> Verdict:
    topology = kind(folder, disk.folder if disk else folder / "data")
    try:
        slices = _FEWEST_SLICES + _SLICES_A_FAULT * faults
        pictures = make_study(topology.database, slices, seed)
        tokens = make_annotators(topology.database, _ANNOTATORS)
        topology.start()
        journal = Journal()
        annotators = [
            Annotator(name, token, topology.servers, pictures, journal, seed + number)
            for number, (name, token) in enumerate(tokens.items())
        ]
        for one in annotators:
            one.start()
        stuck = _until_round(topology.database, 2)
        rng = random.Random(seed)
        strikes = _strike(faults_of(topology, rng, disk), faults, journal, rng, console)
        stuck += _until_round(topology.database, _last_round(topology.database) + 1)
        stuck += _to_rest(topology.database, annotators)
        stuck += [f"{one.name}: {one.error!r}" for one in annotators if one.error is not None]
        return judge(topology.title, topology.database, journal, strikes, stuck, within)
    finally:
        topology.end()


def _strike(
    kinds: list[Fault], count: int, journal: Journal, rng: random.Random, console: Console
) -> list[Strike]:
    """Strike so often, each kind once before any comes again."""
    strikes: list[Strike] = []
    while len(strikes) < count:
        for fault in rng.sample(kinds, len(kinds))[: count - len(strikes)]:
            time.sleep(rng.uniform(0.5, 3))
            fault.strike()
            seconds = _until_answered(journal, time.monotonic())
            strikes.append(Strike(fault.name, seconds))
            said = f"{len(strikes):3} {fault.name}: answered after {seconds:.1f} s"
            console.print(said, markup=False, highlight=False)
    return strikes


def _until_answered(journal: Journal, over: float) -> float:
    while time.monotonic() < over + _LONGEST_SECONDS:
        answered = journal.first_answer_since(over)
        if answered is not None:
            return answered - over
        time.sleep(0.05)
    return _LONGEST_SECONDS


def _last_round(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.max(Round.number))) or 0


def _until_round(database: Database, number: int) -> list[str]:
    """Wait for a round to open; says so where it does not."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if _last_round(database) >= number:
            return []
        time.sleep(0.2)
    return [f"round {number} did not open within {_PATIENCE_SECONDS:.0f} s"]


def _to_rest(database: Database, annotators: list[Annotator]) -> list[str]:
    """Let the annotators finish what they draw, and the jobs come to their ends."""
    for one in annotators:
        one.stopping.set()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for one in annotators:
        one.join(max(0.0, deadline - time.monotonic()))
    stuck = [f"{one.name} is still waiting" for one in annotators if one.is_alive()]
    active = select(func.count()).select_from(Job).where(Job.state.in_(ACTIVE_STATES))
    while time.monotonic() < deadline:
        with database.reading() as session:
            if not session.scalar(active):
                return stuck
        time.sleep(0.2)
    return [*stuck, "jobs did not come to their end"]


if __name__ == "__main__":
    typer.run(run)
