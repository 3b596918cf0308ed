"""A worker's life: claim a job, show a heartbeat, run its step, leave the result or the error."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.dispatch import Dispatcher
from app.loop import claims
from app.loop.claims import STEP_SCORE, STEP_SELECT, STEP_TRAIN, Claim, ClaimLost
from app.observing.tracing import NoTracing, Tracing
from app.settings import Settings
from app.store import Database, database_now
from worker.failures import Verdict, judge
from worker.persistence import persistently
from worker.steps import score, select, train
from worker.steps.compute import choose_compute
from worker.steps.context import Step

_STEPS: dict[str, Callable[[Step], tuple[str, ...]]] = {
    STEP_TRAIN: train.run,
    STEP_SCORE: score.run,
    STEP_SELECT: select.run,
}
_log = structlog.get_logger("sfumato.worker")


# What a step gets to come to its next look at whether it should stop.
_GRACE_SECONDS = 3.0


class WorkerStopping(Exception):
    """The worker was told to end; its job is not at fault."""


class Runner:
    """Runs jobs of some queues, one at a time, in this process."""

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        settings: Settings,
        queues: tuple[str, ...],
        name: str,
        tracing: Tracing | None = None,
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._settings = settings
        self._queues = queues
        self._name = name
        self._tracing = tracing or NoTracing()
        self._stopping = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._held: Claim | None = None

    def work(self) -> int:
        """Run jobs until none is queued; returns how many."""
        self._idle.clear()
        done = 0
        try:
            while not self._stopping.is_set() and (claim := self._claim()) is not None:
                self._held = claim
                self._run(claim)
                self._held = None
                done += 1
        finally:
            self._idle.set()
        return done

    def stop(self) -> None:
        """Give the running job back at its next step, for another worker, and take no other.

        Only sets what others look at: it may be called in the middle of anything.
        """
        self._stopping.set()

    def hand_back_late(self) -> None:
        """For a thread: wait until told to stop, and give back a job whose step does not look.

        Such as one that reads, or computes in one piece for long: whoever ends this process will
        not wait for it. What it writes afterwards is refused, as the job is another's by then.
        """
        self._stopping.wait()
        self._idle.wait(_GRACE_SECONDS)
        held = self._held
        if held is not None:
            _log.info("step given back in its middle", job=held.job_id)
            self._release(held)

    def _claim(self) -> Claim | None:
        with self._database.writing() as session:
            return claims.claim(session, self._queues, self._name, database_now(session))

    def _run(self, claim: Claim) -> None:
        log = _log.bind(job=claim.job_id, step=claim.step, attempt=claim.attempt)
        log.info("step started")
        try:
            with _heartbeat(self._database, claim, self._settings.heartbeat_seconds) as check:
                step = Step(
                    self._database,
                    self._settings,
                    claim,
                    self._also_stopping(check),
                    choose_compute(self._database, self._settings),
                )
                # A step that is begun again leaves its result once; what it has trained by then,
                # it holds on to.
                with self._tracing.span(f"step {claim.step}", **_known(claim)):
                    queues = persistently(partial(_STEPS[claim.step], step), step.check)
        except WorkerStopping:
            log.info("step given back")
            self._release(claim)
        except ClaimLost:
            log.info("step given up")
            with self._database.writing() as session:
                claims.confirm_cancel(session, claim)
        except Exception as error:  # whatever went wrong belongs on the job, for its admin
            log.error("step failed", exc_info=True)
            self._fail(claim, judge(error))
        else:
            log.info("step done")
            self._dispatcher.wake(queues)

    def _release(self, claim: Claim) -> None:
        with self._database.writing() as session:
            queues = claims.release(session, claim)
        self._dispatcher.wake(queues)

    def _also_stopping(self, check: Callable[[], None]) -> Callable[[], None]:
        def both() -> None:
            if self._stopping.is_set():
                raise WorkerStopping
            check()

        return both

    def _fail(self, claim: Claim, verdict: Verdict) -> None:
        retries = self._settings.tries_again if verdict.again else None

        def note() -> None:
            with self._database.writing() as session:
                claims.fail(session, claim, verdict.words, retries)

        try:
            persistently(note)
        except ClaimLost:
            _log.info("the failed step was not ours any more", job=claim.job_id)


def _known(claim: Claim) -> dict[str, int]:
    """What a trace says of a step: numbers alone."""
    return {
        "sfumato.job": claim.job_id,
        "sfumato.attempt": claim.attempt,
        "sfumato.project": claim.project_id,
    }


@contextmanager
def _heartbeat(database: Database, claim: Claim, seconds: float) -> Iterator[Callable[[], None]]:
    """A thread that shows that the worker lives; yields a check that raises ``ClaimLost``."""
    done, lost = threading.Event(), threading.Event()

    def beat() -> None:
        while not done.wait(seconds):
            try:
                with database.writing() as session:
                    claims.heartbeat(session, claim, database_now(session))
            except ClaimLost:
                lost.set()
                return
            except SQLAlchemyError as error:
                # A database that is away for a moment is no reason to stop; if it stays away,
                # the sweep gives the job to somebody else and the guard keeps us out.
                _log.warning("heartbeat missed", job=claim.job_id, error=str(error))

    def check() -> None:
        if lost.is_set():
            raise ClaimLost(f"job {claim.job_id}, attempt {claim.attempt}")

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        done.set()
        thread.join()
