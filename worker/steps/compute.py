"""How this worker computes: device, threads, precisions, slices at once. Settings, never a guess.

What an environment variable says goes first, then what ``sfumato tune`` kept for this kind of
machine, then what is fixed here.
"""

from dataclasses import dataclass

import torch

from app.loop.tunings import Tuned, find_tuned
from app.settings import Settings
from app.store import Database
from worker.segmentation.machine import Machine, fix_threads, machine
from worker.segmentation.precision import Precision, choose_device, choose_precision

# Two are there on nearly every machine, and small networks gain little from more.
DEFAULT_THREADS = 2
DEFAULT_SCORING_BATCH = 8


@dataclass(frozen=True)
class Compute:
    """What a step computes with. ``scoring_batch``: slices in one forward pass of scoring."""

    device: torch.device
    precision: Precision
    training_precision: Precision
    scoring_batch: int
    machine: Machine


def choose_compute(database: Database, settings: Settings) -> Compute:
    """How this process computes by now: threads are set, the rest is for whoever computes.

    Raises ``InvalidInput`` for a device that is not there.
    """
    device = choose_device(settings.device)
    kind = machine(device, Precision(False)).kind
    with database.reading() as session:
        tuned = find_tuned(session, kind)
    return compute_of(settings, device, tuned)


def compute_of(settings: Settings, device: torch.device, tuned: Tuned | None) -> Compute:
    """The choice itself; threads are set."""
    fix_threads(settings.threads or (tuned.threads if tuned else 0) or DEFAULT_THREADS)
    inference: str = settings.precision
    training: str = settings.training_precision
    if tuned is not None:
        inference = tuned.precision if inference == "auto" else inference
        training = tuned.training_precision if training == "auto" else training
    precision = choose_precision(inference, device)
    return Compute(
        device=device,
        precision=precision,
        training_precision=choose_precision(training, device),
        scoring_batch=tuned.scoring_batch if tuned else DEFAULT_SCORING_BATCH,
        machine=machine(device, precision),
    )
