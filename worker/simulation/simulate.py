"""`sfumato simulate`: annotators side by side over HTTP, a table and a curve of what they gave."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.core.errors import InvalidInput
from app.core.model_scores import measured_on
from app.loop.access import HERE
from app.loop.accounts import create_token
from app.loop.projects import find_project
from app.loop.tokens import revoke_token
from app.loop.truths import truths
from app.settings import Settings
from app.store import Database, Job, JobKind, JobState, Role
from worker.simulation.annotators import Annotator, Behaviour, Budget, request
from worker.simulation.curve import draw_curve
from worker.simulation.oracle import Oracle
from worker.simulation.results import RoundResult, print_table

# After so long without anything to draw the service's words are shown.
_LONG_WAIT_SECONDS = 15.0
_POLL_SECONDS = 0.3


def simulate_project(
    database: Database,
    settings: Settings,
    project: str,
    rounds: int,
    annotators: int,
    budget: int | None,
    behaviour: Behaviour,
    seed: int,
    url: str | None,
    out: Path,
) -> list[RoundResult]:
    """Run the loop for some retrainings, or until the budget or the pool is used up.

    Raises ``InvalidInput`` when the project has no hidden masks or no server answers.
    """
    console = Console()
    with database.reading() as session:
        oracle = _oracle(session, project)
    url = url or _running_server(settings)
    with _tokens(database, project, annotators) as (admin, names), _client(url, admin) as client:
        known = _progress(client, project)
        first_round = known["round"]["number"] if known["round"] else 1
        shared = Budget(budget)
        crew = [
            Annotator(
                client=_client(url, token),
                name=name,
                project=project,
                oracle=oracle,
                behaviour=behaviour,
                budget=shared,
                last_round=first_round + rounds - 1,
                seed=seed + number,
            )
            for number, (name, token) in enumerate(names.items())
        ]
        watch = _Watch(database, project, _last_job(database, project))
        results = _watch(console, client, watch, crew, rounds, len(known["learning_curve"]))
    print_table(console, results)
    draw_curve(results, out, title=f"{project}: {annotators} simulated annotators")
    console.print(f"learning curve: {out.absolute()}", soft_wrap=True)
    return results


def _watch(
    console: Console,
    client: httpx.Client,
    watch: "_Watch",
    crew: list[Annotator],
    rounds: int,
    known: int,
) -> list[RoundResult]:
    """Start the crew and note each new model, until the rounds are done or nothing is left.

    Raises ``InvalidInput`` when a retraining has failed: nothing would come after it.
    """
    project = watch.project
    results: list[RoundResult] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting", total=rounds)
        for annotator in crew:
            annotator.start()
        started, told = time.monotonic(), ""
        while True:
            idle = not any(annotator.is_alive() for annotator in crew)
            seen = _progress(client, project)
            for point in seen["learning_curve"][known + len(results) :]:
                results.append(_result(point, len(results) + 1, time.monotonic() - started))
                started = time.monotonic()
            bar.update(task, completed=len(results), description=_described(seen))
            _raise_errors(crew)
            waits = _all_wait(crew) if seen["job"] is None else ""
            if waits not in ("", told):
                told = waits
                bar.console.print(f"everybody waits: {waits}", soft_wrap=True)
            if seen["job"] is None and (failure := watch.failure()) is not None:
                _stop(crew)
                raise InvalidInput(failure)
            if seen["job"] is None and len(results) >= rounds:
                break
            # The budget may end in the middle of a batch: what it gave is trained with too.
            if seen["job"] is None and idle and not _train_the_rest(client, project, seen):
                break
            time.sleep(_POLL_SECONDS)
        _stop(crew)
    return results


def _all_wait(crew: list[Annotator]) -> str:
    """What the service says to a crew none of whom has had anything to draw for a while."""
    waits = [annotator.waits for annotator in crew if annotator.is_alive()]
    long_ago = time.monotonic() - _LONG_WAIT_SECONDS
    found = [one for one in waits if one is not None and one[1] < long_ago]
    return found[0][0] if found and len(found) == len(waits) else ""


def _stop(crew: list[Annotator]) -> None:
    for annotator in crew:
        annotator.stopping.set()
        annotator.join()


@dataclass(frozen=True)
class _Watch:
    """The jobs of a project that came after those that were there at first."""

    database: Database
    project: str
    before: int

    def failure(self) -> str | None:
        """What the newest of them failed with, if it did."""
        with self.database.reading() as session:
            newest = session.scalar(_retrainings(session, self.project).limit(1))
            if newest is None or newest.id <= self.before or newest.state is not JobState.FAILED:
                return None
            lines = (newest.error or "without a word").strip().splitlines()
            return f"job {newest.id}, a retraining of {self.project!r}, has failed: {lines[-1]}"


def _retrainings(session: Session, project: str) -> Select[Job]:
    """A project's retrainings, newest first."""
    of_project = find_project(session, HERE, project, Role.ADMIN).id
    jobs = select(Job).where(Job.project_id == of_project, Job.kind == JobKind.RETRAIN)
    return jobs.order_by(Job.id.desc())


def _last_job(database: Database, project: str) -> int:
    with database.reading() as session:
        newest = session.scalar(_retrainings(session, project).limit(1))
        return newest.id if newest else 0


def _train_the_rest(client: httpx.Client, project: str, seen: dict[str, Any]) -> bool:
    """Retrain with labels that no model has seen yet; returns whether there were any."""
    curve = seen["learning_curve"]
    trained_with = _labelled_pool(curve[-1]) if curve else 0
    if seen["slices"]["pool"]["labelled"] <= trained_with:
        return False
    request(client, "POST", "/jobs", json={"project": project, "kind": "retrain"})
    return True


def _labelled_pool(point: dict[str, Any]) -> int:
    """Labels of the pool that a model had: those of a validation split are counted with them."""
    of_split = point["dice"]["validation"] if point["validation_kind"] == "validation" else {}
    return int(point["labelled"]) - int(of_split.get("slices", 0))


def _described(seen: dict[str, Any]) -> str:
    job, round_ = seen["job"], seen["round"]
    if job is not None:
        progress = job["progress"]
        known = [
            f"{word} {progress[word]}" for word in ("member", "epoch", "step") if word in progress
        ]
        doing = ", ".join(known) if known and job["step"] == "train" else job["step"]
        return f"job {job['id']}: {doing}"
    if round_ is not None:
        return f"round {round_['number']}: {round_['labelled']} of {round_['size']} labelled"
    return "annotating"


def _raise_errors(crew: list[Annotator]) -> None:
    for annotator in crew:
        if annotator.error is not None:
            raise annotator.error


def _result(point: dict[str, Any], round_: int, seconds: float) -> RoundResult:
    measured = measured_on(point["dice"])
    dice = point["dice"].get(measured, {})
    return RoundResult(
        round=round_,
        labelled=point["labelled"],
        measured_on=(point["validation_kind"] if measured == "validation" else measured) or "no",
        dice_slice=dice.get("dice_slice", float("nan")),
        dice_case=dice.get("dice_case", float("nan")),
        seconds=seconds,
    )


def _oracle(session: Session, name: str) -> Oracle:
    project = find_project(session, HERE, name, Role.ADMIN)
    hidden = truths(session, project.id)
    if not hidden:
        raise InvalidInput(
            f"project {name!r} has no hidden masks to answer from: "
            "import its data with --with-masks oracle"
        )
    return Oracle(hidden)


def _running_server(settings: Settings) -> str:
    try:
        url: str = json.loads(settings.server_file.read_text())["url"]
    except FileNotFoundError as error:
        raise InvalidInput(
            f"no service runs on {settings.data.absolute()}: start `sfumato up` there, "
            "or say where one is with --url"
        ) from error
    return url


@contextmanager
def _tokens(
    database: Database, project: str, annotators: int
) -> Iterator[tuple[str, dict[str, str]]]:
    """Tokens of the project, for its admin and each annotator; revoked at the end.

    All are its admins: only these may say of a mask that nobody drew it.
    """
    run = secrets.token_hex(3)
    with database.writing() as session:
        found = find_project(session, HERE, project, Role.ADMIN)
        admin = create_token(session, f"simulation-{run}", Role.ADMIN, project=found)
        crew = {
            name: create_token(session, name, Role.ADMIN, project=found)
            for name in (f"simulated-{run}-{n}" for n in range(1, annotators + 1))
        }
    try:
        yield admin, crew
    finally:
        with database.writing() as session:
            for token in (admin, *crew.values()):
                revoke_token(session, HERE, int(token.split("_")[1]))


def _client(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def _progress(client: httpx.Client, project: str) -> dict[str, Any]:
    seen: dict[str, Any] = request(client, "GET", f"/projects/{project}/progress").json()
    return seen
