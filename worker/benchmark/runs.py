"""One strategy on one seed, round by round: train, test, score the pool, ask for the next."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from app.core.outlines import outline, outline_to_change
from app.core.streams import Stream
from app.core.variety import explore, reason_to_explore
from worker.acquisition.pool import Pick, PoolScores, Strategy, pool_scores
from worker.benchmark.bench import SCORING_BATCH, Bench, Fit, fit_network, row_of
from worker.benchmark.record import (
    RoundFile,
    Selected,
    dice_by_case,
    replace,
    round_path,
    write_json,
)
from worker.benchmark.splits import check_selected
from worker.picks import check_picks
from worker.segmentation.evaluating import predictions
from worker.segmentation.learning import Parent
from worker.segmentation.network import Network
from worker.segmentation.scoring import ScoringSettings, SliceScores, pooled_features, score


def run_strategy(bench: Bench, strategy: Strategy) -> None:
    """All rounds of a strategy, from the last that is finished."""
    folder = bench.record.run_folder(strategy.name, bench.seed)
    first = json.loads((bench.record.seed_folder(bench.seed) / "first.json").read_text())
    files = bench.record.round_files(strategy.name, bench.seed)
    labelled = [*first["initial"], *(pick.slice for f in files for pick in f.selected)]
    for round_ in range(len(files) + 1, bench.settings.rounds + 1):
        if files and not files[-1].selected:
            return  # the pool is used up
        parent = _going_on(bench, folder, files[-1]) if files else None
        fit = _fit_round(bench, round_, labelled, parent)
        # As in the service: a network that is worse than the one before neither selects nor is
        # gone on from.
        current = Parent(round_, fit.state, bench.description, fit.folds, fit.learned)
        if fit.held_back is not None and parent is not None:
            current = parent
        started = time.monotonic()
        network = fit.network if current is not parent else bench.network(current.weights)
        picks = _select(bench, strategy, network, round_, labelled)
        seconds = time.monotonic() - started
        batch = [pick.slice for pick in files[-1].selected] if files else labelled
        row = row_of(bench, strategy.name, round_, labelled, batch, fit, seconds)
        file = RoundFile(
            row, picks, dict(current.folds), dice_by_case(fit.dice), list(current.learned)
        )
        # Weights first: a round that has its file has the weights to go on from.
        replace(folder / f"round-{round_:02d}.safetensors", current.weights)
        write_json(round_path(folder, round_), asdict(file))
        for old in folder.glob("round-*.safetensors"):
            if old.stem != f"round-{round_:02d}":
                old.unlink()
        files.append(file)
        labelled = [*labelled, *(pick.slice for pick in picks)]


def _going_on(bench: Bench, folder: Path, file: RoundFile) -> Parent:
    """What the next round is trained from."""
    state = (folder / f"round-{file.row.round:02d}.safetensors").read_bytes()
    return Parent(file.row.round, state, bench.description, file.folds, file.learned)


def _fit_round(bench: Bench, round_: int, labelled: list[int], parent: Parent | None) -> Fit:
    """A round's network; the first is what all strategies of the seed share."""
    if round_ > 1:
        return fit_network(bench, labelled, round_, parent)
    shared = bench.record.seed_folder(bench.seed)
    state = (shared / "first.safetensors").read_bytes()
    fit = json.loads((shared / "first.json").read_text())["fit"]
    return Fit(bench.network(state), state, **fit)


def _select(
    bench: Bench, strategy: Strategy, network: Network, round_: int, labelled: Sequence[int]
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
    # Asked and checked even where variety decides: a strategy that fails must not pass for one.
    picks = strategy.select(pool, query.size, bench.seed_for("select", round_))
    picks = check_picks(strategy.name, picks, query.size, len(unlabelled))
    if strategy.measure is not None and _nothing_found(bench, pool, labelled):
        picks = _explore(bench, round_, unlabelled, labelled)
    numbers = [unlabelled[pick.index] for pick in picks]
    check_selected(bench.division, [*labelled, *numbers])
    return list(_answered(bench, network, numbers, picks))


def _nothing_found(bench: Bench, pool: PoolScores, labelled: Sequence[int]) -> bool:
    """Whether there is no target yet that an uncertainty could be about."""
    known = int(bench.ground.foreground[list(labelled)].sum())
    predicted = 0 if pool.foreground is None else int(pool.foreground.sum())
    return reason_to_explore(known, predicted) is not None


def _explore(
    bench: Bench, round_: int, unlabelled: Sequence[int], labelled: Sequence[int]
) -> list[Pick]:
    """A batch for variety, as the service draws it then."""
    ground, numbers = bench.ground, [*unlabelled, *labelled]
    picked = explore(
        bench.looks(numbers),
        ground.case_of[numbers],
        np.array([ground.way_through(number) for number in numbers]),
        bench.settings.query.size,
        np.random.default_rng(bench.seed_for("explore", round_)),
        taken=range(len(unlabelled), len(numbers)),
    )
    return [Pick(index, Stream.EXPLORE, None) for index in picked]


def _answered(
    bench: Bench, network: Network, numbers: Sequence[int], picks: Sequence[Pick]
) -> Iterator[Selected]:
    """The slices that are asked for, with what an annotator finds on them: mask and suggestion."""
    samples = bench.load(numbers)
    suggested = predictions(network, samples, bench.device)
    for number, pick, sample, seen in zip(numbers, picks, samples, suggested, strict=True):
        if sample.classes is None:
            raise ValueError(f"slice {number} has no mask to answer with")
        yield Selected(
            slice=number,
            case=sample.case,
            index=sample.index,
            stream=pick.stream,
            score=pick.score,
            foreground_pixels=int(bench.ground.foreground[number]),
            outline=outline(sample.classes),
            suggested_pixels=int((seen > 0).sum()),
            to_change=outline_to_change(seen, sample.classes),
        )


def _pool_scores(
    bench: Bench,
    strategy: Strategy,
    network: Network,
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
        batch_size=SCORING_BATCH,
        seed=bench.seed_for("passes", round_),
    )
    samples = bench.samples(unlabelled)
    scored: list[SliceScores] = []
    for one in score(network, samples, strategy.measure, settings, bench.device, bench.precision):
        bench.check()
        scored.append(one)
    seen = None
    if strategy.features:
        seen = torch.from_numpy(
            pooled_features(
                network,
                bench.samples(labelled),
                SCORING_BATCH,
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
