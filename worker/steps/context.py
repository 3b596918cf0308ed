"""What every step is handed, and how it draws its seeds."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog
import torch

from app.loop import claims
from app.loop.claims import Claim
from app.loop.training_set import LoadedSlice
from app.settings import Settings
from app.store import Database
from worker.persistence import TRANSIENT
from worker.segmentation.clock import Clock
from worker.segmentation.frames import Sample, standardise_stored
from worker.segmentation.precision import Precision
from worker.steps.compute import Compute

_log = structlog.get_logger("sfumato.worker")
# Progress is for people: more often than this only costs disk writes.
_SECONDS_BETWEEN_REPORTS = 0.5


@dataclass
class Step:
    """One claimed step: the database, the claim, whether the claim still holds, how to compute.

    ``clock``: what the step's seconds are spent on, for the record.
    """

    database: Database
    settings: Settings
    claim: Claim
    check: Callable[[], None]
    compute: Compute
    clock: Clock = field(default_factory=Clock)
    _reported_at: float = field(default=0.0)

    @property
    def device(self) -> torch.device:
        """The device that this worker computes on."""
        return self.compute.device

    @property
    def precision(self) -> Precision:
        """The precision of inference on that device."""
        return self.compute.precision

    def report(self, progress: dict[str, Any]) -> None:
        """Show progress to watchers, now and then. Raises ``ClaimLost``."""
        self.check()
        now = time.monotonic()
        if now - self._reported_at < _SECONDS_BETWEEN_REPORTS:
            return
        self._reported_at = now
        try:
            with self.database.writing() as session:
                claims.report(session, self.claim, progress)
        except TRANSIENT:
            # Nobody can look while the database is away; what is being computed goes on.
            _log.warning("progress not shown", job=self.claim.job_id)


def samples(loaded: Iterable[LoadedSlice]) -> Iterator[Sample]:
    """Stored slices as the network takes them: each plane standardised by its case's moments."""
    for one in loaded:
        image = np.stack(
            [
                standardise_stored(p.pixels, p.rescale, p.moments.mean, p.moments.std)
                for p in one.planes
            ]
        )
        classes = None if one.classes is None else one.classes.astype("uint8")
        yield Sample(one.case, one.index, image, classes, one.spacing)


def noted(loaded: Iterable[LoadedSlice], seen: list[int]) -> Iterator[LoadedSlice]:
    """The slices, each noted in ``seen`` as it passes: some that were asked for may be deleted."""
    for one in loaded:
        seen.append(one.slice_id)
        yield one
