"""Where a training step keeps its checkpoints: in the database, by its job."""

import time

import structlog

from app.loop import checkpoints
from app.loop.checkpoints import PART_BYTES
from worker.persistence import TRANSIENT
from worker.steps.context import Step

_log = structlog.get_logger("sfumato.worker")


class JobCheckpoints:
    """The port that a training is given (``segmentation.checkpoint.Checkpoints``).

    Each transaction takes a part: an annotator's mask waits for no whole checkpoint.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._kept_at = time.monotonic()

    def due(self) -> bool:
        """Whether the last one is as long ago as the installation wants it to be."""
        return time.monotonic() - self._kept_at >= self._step.settings.checkpoint_seconds

    def save(self, body: bytes) -> None:
        """Keep it in the place of the last. Raises ``ClaimLost``.

        While the database is away the training goes on, and the last one stays.
        """
        try:
            self._save(body)
        except TRANSIENT as error:
            _log.warning("checkpoint not kept", job=self._job, error=str(error))
        self._kept_at = time.monotonic()

    def load(self) -> bytes | None:
        """The one that an earlier attempt has kept, if there is one."""
        with self._step.database.reading() as session:
            return checkpoints.load(session, self._job)

    def forget(self) -> None:
        """The training is done. What is not deleted now, the sweep deletes."""
        try:
            with self._step.database.writing() as session:
                checkpoints.forget(session, self._job)
            self._drop()
        except TRANSIENT as error:
            _log.warning("checkpoint not deleted", job=self._job, error=str(error))

    @property
    def _job(self) -> int:
        return self._step.claim.job_id

    def _save(self, body: bytes) -> None:
        database, claim = self._step.database, self._step.claim
        # What a lost worker left half-written, too: there are two at most at any time.
        self._drop()
        with database.writing() as session:
            version = checkpoints.next_version(session, claim)
        for number, start in enumerate(range(0, len(body), PART_BYTES)):
            self._step.check()
            part = body[start : start + PART_BYTES]
            with database.writing() as session:
                checkpoints.put_part(session, claim, version, number, part)
        with database.writing() as session:
            checkpoints.complete(session, claim, version)
        self._drop()

    def _drop(self) -> None:
        left = True
        while left:
            with self._step.database.writing() as session:
                left = checkpoints.drop(session, self._job)
