"""One seed of a benchmark: its data and settings, how it trains and tests, a row of its table."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from app.core.outlines import outline
from app.core.seeds import derived_seed
from app.core.variety import appearance
from worker.acquisition.diversity import mean_nearest
from worker.benchmark.ground import Ground
from worker.benchmark.record import Record, RoundRow, beyond_dice
from worker.benchmark.settings import BenchmarkSettings
from worker.benchmark.splits import Division, check_selected, divide
from worker.segmentation import weights
from worker.segmentation.evaluating import evaluate
from worker.segmentation.frames import Sample
from worker.segmentation.learning import Parent, learn
from worker.segmentation.machine import machine
from worker.segmentation.network import Network
from worker.segmentation.precision import Precision
from worker.segmentation.recipe import Lesson

# Without gradients, more at once is faster.
SCORING_BATCH = 16
_BATCH = 32


@dataclass(frozen=True)
class Bench:
    """One seed of a benchmark, ready to run: data, division, settings, device."""

    ground: Ground
    division: Division
    settings: BenchmarkSettings
    record: Record
    seed: int
    device: torch.device
    precision: Precision
    check: Callable[[], None]

    def seed_for(self, *what: object) -> int:
        """A seed that depends on what it is for and on nothing else; repeats have their own."""
        repeat = self.record.repeat
        return derived_seed("benchmark", self.seed, *what, *(("repeat", repeat) if repeat else ()))

    @property
    def seed_for_all(self) -> int:
        """A seed that all repeats have in common: their first slices are the same."""
        return derived_seed("benchmark", self.seed, "initial")

    @property
    def description(self) -> dict[str, Any]:
        """What the network is built from."""
        return weights.architecture(
            self.ground.classes, len(self.ground.channels), self.settings.training
        )

    def network(self, state: bytes) -> Network:
        """The network with these weights."""
        return weights.restore(self.description, state).placed(self.device)

    def samples(self, slices: Sequence[int], labelled: bool = False) -> Iterator[Sample]:
        """These slices as the network sees them, one at a time; with masks where ``labelled``."""
        return self.ground.samples(slices, labelled, self.settings.training.context)

    def load(self, slices: Sequence[int]) -> list[Sample]:
        """These slices with their masks."""
        return list(self.samples(slices, labelled=True))

    def looks(self, slices: Sequence[int]) -> npt.NDArray[np.uint8]:
        """A thumbnail of the first channel of each slice, (N, 64)."""
        return np.stack([appearance(one.image[0]) for one in self.ground.samples(slices)])


@dataclass(frozen=True)
class Fit:
    """A trained network, and what its training and its test came to.

    ``folds``: for each labelled case the member that has not seen it; ``learned``: the cases that
    it has learned from; ``held_back``: why the network before it goes on in its place, as in the
    service.
    """

    network: Network
    state: bytes
    dice: dict[str, Any]
    notes: dict[str, Any]
    folds: dict[str, int]
    held_back: str | None
    seconds: float
    learned: list[str] = field(default_factory=list)


def make_bench(
    ground: Ground,
    settings: BenchmarkSettings,
    record: Record,
    seed: int,
    device: torch.device,
    precision: Precision,
    check: Callable[[], None],
) -> Bench:
    """Divide the data for a seed. Raises ``Leakage``."""
    division = divide(ground, settings.ground, seed)
    return Bench(ground, division, settings, record, seed, device, precision, check)


def fit_network(
    bench: Bench,
    labelled: Sequence[int],
    round_: int,
    parent: Parent | None = None,
    least_steps: int = 0,
) -> Fit:
    """Train on labelled slices as the service does, then test."""
    check_selected(bench.division, labelled)
    started = time.monotonic()
    settings = bench.settings.training
    lesson = Lesson(
        training=bench.load(labelled),
        validation=bench.load(bench.division.validation),
        settings=settings,
        seed=bench.seed_for("train", round_),
        device=bench.device,
        precision=bench.precision,
        on_step=bench.check,
        least_steps=least_steps,
    )
    learned = learn(bench.description, lesson, parent, settings.from_scratch)
    seconds = time.monotonic() - started
    test = bench.load(bench.division.test)
    return Fit(
        network=learned.network,
        state=weights.dump(learned.network.state_dict()),
        dice=evaluate(learned.network, test, _BATCH, bench.device),
        notes=learned.notes,
        folds=learned.folds,
        held_back=learned.held_back,
        seconds=seconds,
        learned=learned.learned,
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def plain(fit: Fit) -> dict[str, object]:
    """What a fit came to, without its network."""
    return {k: v for k, v in vars(fit).items() if k not in ("network", "state")}


def row_of(
    bench: Bench,
    strategy: str,
    round_: int,
    labelled: Sequence[int],
    batch: Sequence[int],
    fit: Fit,
    seconds_score: float,
) -> RoundRow:
    """A row of the table: what was labelled, and what training on it came to."""
    ground = bench.ground
    return RoundRow(
        strategy=strategy,
        seed=bench.seed,
        round=round_,
        labelled=len(labelled),
        pool=len(bench.division.pool),
        foreground_pixels=int(ground.foreground[list(labelled)].sum()),
        batch=len(batch),
        batch_blank=int((ground.foreground[list(batch)] == 0).sum()),
        batch_cases=len(set(ground.case_of[list(batch)].tolist())),
        labelled_cases=len(set(ground.case_of[list(labelled)].tolist())),
        nearest=_nearest(bench, labelled, batch),
        dice_slice=float(fit.dice["dice_slice"]),
        dice_case=float(fit.dice["dice_case"]),
        validation=_looked_at(bench),
        validation_loss=_number(fit.notes.get("validation_loss")),
        epochs=int(fit.notes.get("epochs", 0)),
        steps=int(fit.notes["steps"]),
        collapses=len(fit.notes["collapses"]),
        held_back=int(fit.held_back is not None),
        seconds_train=fit.seconds,
        seconds_score=seconds_score,
        **beyond_dice(fit.dice),
        machine=str(machine(bench.device, bench.precision)),
        repeat=bench.record.repeat,
        batch_outline=sum(outline(classes) for classes in bench.ground.masks(batch)),
    )


def _looked_at(bench: Bench) -> int:
    """Validation slices whose labels the training needs."""
    there, most = len(bench.division.validation), bench.settings.training.max_validation_slices
    return there if most is None else min(there, most)


def _nearest(bench: Bench, labelled: Sequence[int], batch: Sequence[int]) -> float:
    """Mean distance of a batch's slices to their nearest labelled neighbours, scaled features.

    NaN where the network of all labels was not trained.
    """
    path = bench.record.base.seed_folder(bench.seed) / "features.npy"
    if not path.exists():
        return math.nan
    features = np.load(path)
    position = {number: i for i, number in enumerate(bench.division.pool)}
    rows = torch.from_numpy(features.astype(np.float32))
    before = set(labelled) - set(batch)
    return mean_nearest(
        rows[[position[n] for n in batch]],
        rows[[position[n] for n in sorted(before)]],
        torch.ones(rows.shape[1]),
    )
