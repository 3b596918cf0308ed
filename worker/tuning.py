"""`sfumato tune`: measures once how this kind of machine computes fastest, and keeps it."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from rich.console import Console
from rich.table import Table

from app.core.errors import InvalidInput
from app.loop.tunings import Tuned, keep_tuned
from app.settings import Settings
from app.store import Database
from worker.segmentation.machine import fix_threads, machine, usable_cores
from worker.segmentation.network import probabilities
from worker.segmentation.networks.unet import UNet
from worker.segmentation.precision import Precision, choose_device
from worker.steps.compute import DEFAULT_SCORING_BATCH, DEFAULT_THREADS

_Choice = TypeVar("_Choice")
_BATCHES = (4, 8, 16, 32)
_TRAINING_BATCH = 8
# What is fixed without measuring stays, unless something else is faster by so much: where two are
# alike, noise must not decide.
_CLEARLY_FASTER = 1.15
# A candidate that is so much slower is not tried again: at first by more, for load may have hit it.
_HOPELESS_AT_FIRST, _HOPELESS, _FIRST_TURNS = 4.0, 1.5, 3
# Each is timed in turn until the least time of none has fallen by this share for some turns.
_STILL_FALLING, _QUIET_TURNS, _MOST_TURNS = 0.02, 4, 40


@dataclass(frozen=True)
class Measured:
    """Seconds a slice by candidate, and which was chosen."""

    what: str
    seconds: dict[str, float]
    chosen: str


def tune(database: Database, settings: Settings, width: int, size: int, console: Console) -> Tuned:
    """Measure, keep, and say so. Raises ``InvalidInput`` where nothing can be measured."""
    device = choose_device(settings.device)
    trial = _Trial(device, width, size)
    threads, precisions = _threads(settings, device), [Precision(False), Precision(True)]
    measured = []
    with console.status("measuring threads"):
        best, found = trial.choose(
            "threads", threads, threads[0], lambda t: trial.training_step(t, precisions[0])
        )
    measured.append(found)
    fix_threads(best)
    with console.status("measuring the precision of training"):
        training, found = trial.choose(
            "training precision", precisions, precisions[0], lambda p: trial.training_step(best, p)
        )
    measured.append(found)
    batches = [_Scoring(p, batch) for p in precisions for batch in _BATCHES]
    usual = _Scoring(precisions[0], DEFAULT_SCORING_BATCH)
    with console.status("measuring precision and batch of scoring"):
        scoring, found = trial.choose("scoring", batches, usual, trial.scoring_pass)
    measured.append(found)
    # What is fixed by hand here was not measured, and is nothing for other processes.
    tuned = Tuned(
        0 if settings.threads else best, str(scoring.precision), str(training), scoring.batch
    )
    kind = machine(device, scoring.precision).kind
    record = {one.what: one.seconds for one in measured} | {"width": width, "size": size}
    with database.writing() as session:
        before = keep_tuned(session, kind, tuned, record)
    _show(console, measured, width, size)
    _warn_of_load(console)
    _tell(console, kind, tuned, before, database)
    return tuned


def _threads(settings: Settings, device: torch.device) -> list[int]:
    """How many threads are tried, the usual number first; one number where that is settled."""
    if settings.threads:
        return [settings.threads]
    if device.type != "cpu":
        return [DEFAULT_THREADS]
    cores = usable_cores()
    doubled = [2**n for n in range(8) if 2**n <= cores]
    others = {*doubled, cores} - {DEFAULT_THREADS}
    first = [DEFAULT_THREADS] if cores >= DEFAULT_THREADS else []
    return [*first, *sorted(others)]


@dataclass(frozen=True)
class _Scoring:
    precision: Precision
    batch: int

    def __str__(self) -> str:
        return f"{self.precision}, {self.batch} slices at once"


class _Trial:
    """A network of the given size with pictures of noise, timed at what a round does."""

    def __init__(self, device: torch.device, width: int, size: int) -> None:
        torch.manual_seed(0)
        self._device = device
        self._network = UNet(classes=2, width=width)
        multiple = self._network.multiple_of
        self._size = -(-size // multiple) * multiple
        try:
            self._network.placed(device)
        except RuntimeError as error:
            raise InvalidInput(f"nothing can be measured on {device}: {_short(error)}") from error

    def choose(
        self,
        what: str,
        candidates: Sequence[_Choice],
        usual: _Choice,
        seconds: Callable[[_Choice], float],
    ) -> tuple[_Choice, Measured]:
        """The fastest candidate, if it is clearly faster than the usual one."""
        least: dict[_Choice, float] = {}
        errors = []
        for one in candidates:
            try:
                seconds(one)
                least[one] = seconds(one)
            except RuntimeError as error:  # no such precision here, or no memory for the batch
                errors.append(_short(error))
        if not least:
            raise InvalidInput(f"nothing can be measured on {self._device}: {errors[0]}")
        _repeat(least, seconds)
        best = min(least, key=lambda one: least[one])
        if usual in least and least[usual] < _CLEARLY_FASTER * least[best]:
            best = usual
        return best, Measured(what, {str(c): s for c, s in least.items()}, str(best))

    def training_step(self, threads: int, precision: Precision) -> float:
        """Seconds a slice of one training step."""
        fix_threads(threads)
        network = self._network.train()
        image = self._pictures(_TRAINING_BATCH)
        started = time.perf_counter()
        with precision.autocast(self._device):
            logits = network(image)
        logits.float().square().mean().backward()
        network.zero_grad()
        return self._since(started) / _TRAINING_BATCH

    @torch.inference_mode()
    def scoring_pass(self, one: _Scoring) -> float:
        """Seconds a slice of one forward pass."""
        network = self._network.eval()
        image = self._pictures(one.batch)
        started = time.perf_counter()
        with one.precision.autocast(self._device):
            probabilities(network(image))
        return self._since(started) / one.batch

    def _pictures(self, count: int) -> torch.Tensor:
        image = torch.randn(count, 1, self._size, self._size)
        image = image.to(self._device, memory_format=torch.channels_last)
        self._wait()
        return image

    def _since(self, started: float) -> float:
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def _repeat(least: dict[_Choice, float], seconds: Callable[[_Choice], float]) -> None:
    """Time each in turn, again and again, until the least times stand; load only adds to them."""
    quiet = 0
    for turn in range(_MOST_TURNS):
        within = (_HOPELESS_AT_FIRST if turn < _FIRST_TURNS else _HOPELESS) * min(least.values())
        fallen = False
        for one in [one for one, so_far in least.items() if so_far <= within]:
            found = seconds(one)
            fallen = fallen or found < least[one] * (1 - _STILL_FALLING)
            least[one] = min(least[one], found)
        quiet = 0 if fallen else quiet + 1
        if quiet == _QUIET_TURNS:
            return


def _short(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _show(console: Console, measured: Sequence[Measured], width: int, size: int) -> None:
    table = Table(title=f"UNet of width {width} on pictures of {size} × {size}")
    for title in ("what", "tried", "ms a slice", ""):
        table.add_column(title, justify="right" if title == "ms a slice" else "left")
    for one in measured:
        for number, (tried, seconds) in enumerate(one.seconds.items()):
            mark = "chosen" if tried == one.chosen else ""
            table.add_row("" if number else one.what, tried, f"{1000 * seconds:.1f}", mark)
        table.add_section()
    console.print(table)


def _warn_of_load(console: Console) -> None:
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    # One of them is this measurement itself, which may use all cores.
    if load > 1.5 * cores:
        console.print(
            f"[yellow]other programs were at work (load {load:.1f} on {cores} cores): measure "
            "again when the machine is idle[/yellow]",
            soft_wrap=True,
        )


def _tell(
    console: Console, kind: str, tuned: Tuned, before: Tuned | None, database: Database
) -> None:
    where = database.engine.url.render_as_string(hide_password=True)
    console.print(f"kept for {kind} in {where}", soft_wrap=True, highlight=False)
    console.print(
        "every worker on such a machine computes so from its next job on, unless SFUMATO_THREADS, "
        "SFUMATO_PRECISION or SFUMATO_TRAINING_PRECISION say otherwise",
        soft_wrap=True,
    )
    if before is None:
        return
    changes = [
        f"{name.replace('_', ' ')} {old} → {new}"
        for name, old in vars(before).items()
        if (new := getattr(tuned, name)) != old
    ]
    said = "changed since: " + ", ".join(changes) if changes else "as it was kept before"
    console.print(said, soft_wrap=True, highlight=False)
    if changes:
        console.print("the same seed gives other figures from now on", soft_wrap=True)
