"""One strategy on one seed, round by round; and what the strategies of a seed share."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.manifold import TSNE

from app.loop.cold_start import appearance, k_centre_of_appearances
from worker.acquisition.diversity import mean_nearest
from worker.acquisition.pool import Pick, PoolScores, Strategy, pool_scores
from worker.benchmark.ground import Ground
from worker.benchmark.record import (
    FULL,
    Record,
    RoundFile,
    RoundRow,
    Selected,
    round_path,
    write_json,
)
from worker.benchmark.record import replace as replace_file
from worker.benchmark.settings import BenchmarkSettings
from worker.benchmark.splits import Division, check_selected, divide
from worker.segmentation import weights
from worker.segmentation.frames import Sample
from worker.segmentation.precision import Precision
from worker.segmentation.scoring import (
    Features,
    ScoringSettings,
    SliceScores,
    pooled_features,
    score,
)
from worker.segmentation.training import evaluate, seed_everything, train
from worker.segmentation.unet import UNet
from worker.steps.context import derived_seed

_SCORING_BATCH = 16


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
        """A seed that depends on what it is for and on nothing else."""
        return derived_seed("benchmark", self.seed, *what)

    def network(self, state: bytes | None = None) -> UNet:
        """The network with these weights, or with those that a seed starts from."""
        description = weights.architecture(self.ground.classes, self.settings.training)
        if state is not None:
            return weights.restore(description, state).placed(self.device)
        seed_everything(self.seed_for("weights"))
        return weights.build(description).placed(self.device)

    def load(self, slices: Sequence[int]) -> list[Sample]:
        """These slices with their masks."""
        return list(self.ground.samples(slices, labelled=True))


@dataclass(frozen=True)
class _Fit:
    """A trained network, and what its training and its test came to."""

    network: UNet
    state: bytes
    dice: dict[str, float | int]
    validation_loss: float
    epochs: int
    seconds: float


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


def prepare_seed(bench: Bench) -> None:
    """Train once what the strategies of a seed share, unless it is there.

    The first round's network, from the same first slices and weights; and the network of all
    labels, whose Dice is the supervised baseline and whose features measure redundancy.
    """
    folder = bench.record.seed_folder(bench.seed)
    if not (folder / "first.json").exists():
        initial = initial_slices(bench)
        fit = _fit(bench, bench.network(), initial, round_=1)
        replace_file(folder / "first.safetensors", fit.state)
        write_json(folder / "first.json", {"initial": initial, "fit": _plain(fit)})
    if not (folder / "full.json").exists():
        pool = bench.division.pool
        fit = _fit(bench, bench.network(), pool, round_=0)
        features = pooled_features(
            fit.network, bench.ground.samples(pool), _SCORING_BATCH, bench.device, bench.precision
        )
        scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
        _save_features(folder / "features.npy", scaled)
        _save_map(bench, folder / "map.json", scaled)
        row = _row(bench, FULL, 0, pool, pool, fit, seconds_score=0.0)
        write_json(folder / "full.json", asdict(row))


def initial_slices(bench: Bench) -> list[int]:
    """The first labelled slices: the same for every strategy of a seed."""
    pool, wanted = bench.division.pool, bench.settings.initial
    rng = np.random.default_rng(bench.seed_for("initial"))
    if bench.settings.init == "k-centre":
        looks = [appearance(sample.image) for sample in bench.ground.samples(pool)]
        return [pool[i] for i in k_centre_of_appearances(np.stack(looks), wanted, rng)]
    if bench.settings.init == "foreground":
        # Only a benchmark can do this: it repeats the paper's public code.
        pool = [n for n in pool if bench.ground.foreground[n] > 0]
    return [int(n) for n in rng.permutation(pool)[:wanted]]


def run_strategy(bench: Bench, strategy: Strategy) -> None:
    """All rounds of a strategy, from the last that is finished."""
    folder = bench.record.run_folder(strategy.name, bench.seed)
    first = json.loads((bench.record.seed_folder(bench.seed) / "first.json").read_text())
    files = bench.record.round_files(strategy.name, bench.seed)
    labelled = [*first["initial"], *(pick.slice for f in files for pick in f.selected)]
    for round_ in range(len(files) + 1, bench.settings.rounds + 1):
        if files and not files[-1].selected:
            return  # the pool is used up
        fit = _fit_round(bench, folder, round_, labelled)
        started = time.monotonic()
        picks = _select(bench, strategy, fit.network, round_, labelled)
        seconds = time.monotonic() - started
        batch = [pick.slice for pick in files[-1].selected] if files else labelled
        row = _row(bench, strategy.name, round_, labelled, batch, fit, seconds)
        file = RoundFile(row, picks)
        # Weights first: a round that has its file has the weights to go on from.
        replace_file(folder / f"round-{round_:02d}.safetensors", fit.state)
        write_json(round_path(folder, round_), asdict(file))
        for old in folder.glob("round-*.safetensors"):
            if old.stem != f"round-{round_:02d}":
                old.unlink()
        files.append(file)
        labelled = [*labelled, *(pick.slice for pick in picks)]


def _fit_round(bench: Bench, folder: Path, round_: int, labelled: list[int]) -> _Fit:
    if round_ == 1:
        shared = bench.record.seed_folder(bench.seed)
        state = (shared / "first.safetensors").read_bytes()
        fit = json.loads((shared / "first.json").read_text())["fit"]
        return _Fit(bench.network(state), state, **fit)
    parent = (folder / f"round-{round_ - 1:02d}.safetensors").read_bytes()
    network = bench.network(None if bench.settings.training.from_scratch else parent)
    return _fit(bench, network, labelled, round_)


def _fit(bench: Bench, network: UNet, labelled: Sequence[int], round_: int) -> _Fit:
    """Train on labelled slices, stop early by the validation cases alone, test."""
    check_selected(bench.division, labelled)
    started = time.monotonic()
    trained = train(
        network,
        bench.load(labelled),
        bench.load(bench.division.validation),
        bench.settings.training,
        bench.seed_for("train", round_),
        bench.device,
        on_step=bench.check,
    )
    seconds = time.monotonic() - started
    test = bench.load(bench.division.test)
    return _Fit(
        network=network,
        state=weights.dump(trained.state),
        dice=evaluate(network, test, bench.settings.training.batch_size, bench.device),
        validation_loss=_number(trained.best.validation_loss),
        epochs=trained.epochs_run,
        seconds=seconds,
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _plain(fit: _Fit) -> dict[str, object]:
    return {k: v for k, v in vars(fit).items() if k not in ("network", "state")}


def _select(
    bench: Bench, strategy: Strategy, network: UNet, round_: int, labelled: Sequence[int]
) -> list[Selected]:
    """What the round's network asks for next; nothing in the last round."""
    if round_ == bench.settings.rounds:
        return []
    taken = set(labelled)
    unlabelled = [n for n in bench.division.pool if n not in taken]
    if not unlabelled:
        return []
    query = bench.settings.query
    pool = _pool_scores(bench, strategy, network, round_, unlabelled, labelled)
    picks = strategy.select(pool, query.size, bench.seed_for("select", round_))
    chosen = [_selected(bench.ground, unlabelled[pick.index], pick) for pick in picks]
    check_selected(bench.division, [*labelled, *(one.slice for one in chosen)])
    return chosen


def _selected(ground: Ground, number: int, pick: Pick) -> Selected:
    case, index = ground.place(number)
    pixels = int(ground.foreground[number])
    return Selected(number, case, index, pick.stream, pick.score, pixels)


def _pool_scores(
    bench: Bench,
    strategy: Strategy,
    network: UNet,
    round_: int,
    unlabelled: Sequence[int],
    labelled: Sequence[int],
) -> PoolScores:
    planned = bench.settings.rounds - 1
    progress = (round_ - 1) / max(planned - 1, 1)
    nothing = torch.zeros(len(unlabelled))
    if strategy.measure is None:
        return PoolScores(nothing, nothing, nothing, progress=progress)
    query = bench.settings.query
    settings = ScoringSettings(
        target_threshold=query.target_threshold,
        boundary_width=query.boundary_width,
        mc_passes=query.mc_passes,
        batch_size=_SCORING_BATCH,
        seed=bench.seed_for("passes", round_),
    )
    samples = bench.ground.samples(unlabelled)
    scored: list[SliceScores] = []
    for one in score(network, samples, strategy.measure, settings, bench.device, bench.precision):
        bench.check()
        scored.append(one)
    seen = None
    if strategy.features:
        seen = torch.from_numpy(
            pooled_features(
                network,
                bench.ground.samples(labelled),
                _SCORING_BATCH,
                bench.device,
                bench.precision,
            )
        )
    return pool_scores(
        [next(m for m in one.measures if m.measure == strategy.measure) for one in scored],
        query.reduction,
        foreground=torch.tensor([one.foreground_pixels for one in scored]),
        features=torch.from_numpy(np.stack([one.features for one in scored])),
        labelled_features=seen,
        cases=torch.from_numpy(bench.ground.case_of[list(unlabelled)]),
        progress=progress,
    )


def _row(
    bench: Bench,
    strategy: str,
    round_: int,
    labelled: Sequence[int],
    batch: Sequence[int],
    fit: _Fit,
    seconds_score: float,
) -> RoundRow:
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
        validation_loss=fit.validation_loss,
        epochs=fit.epochs,
        seconds_train=fit.seconds,
        seconds_score=seconds_score,
    )


def _nearest(bench: Bench, labelled: Sequence[int], batch: Sequence[int]) -> float:
    """Mean distance of a batch's slices to their nearest labelled neighbours, scaled features."""
    features = np.load(bench.record.seed_folder(bench.seed) / "features.npy")
    position = {number: i for i, number in enumerate(bench.division.pool)}
    rows = torch.from_numpy(features.astype(np.float32))
    before = set(labelled) - set(batch)
    return mean_nearest(
        rows[[position[n] for n in batch]],
        rows[[position[n] for n in sorted(before)]],
        torch.ones(rows.shape[1]),
    )


def _save_features(path: Path, features: Features) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, features.astype(np.float16))


def _save_map(bench: Bench, path: Path, features: Features) -> None:
    """The pool in two dimensions (figure 2): case, index, foreground pixels, x and y."""
    perplexity = min(30.0, max(1.0, (len(features) - 1) / 3))
    places = TSNE(perplexity=perplexity, random_state=bench.seed_for("map")).fit_transform(features)
    rows = [
        [*bench.ground.place(n), int(bench.ground.foreground[n]), *map(float, xy)]
        for n, xy in zip(bench.division.pool, places, strict=True)
    ]
    write_json(path, rows)
